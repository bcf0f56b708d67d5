import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase01_foundation.project01_minimal_gpt.tokenizer import CharTokenizer
from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain.token_file import (
    END_OF_TEXT,
    cached_tokens,
    read_tokens,
    write_tokens,
)
from shared.testing import raises

task = pytest.mark.task(2)

BPE = ByteBPE.train(["the cat sat on the mat, the rat ran"], 270)
TOKENIZER = Tokenizer(BPE, {END_OF_TEXT: 270})
LETTERS = Tokenizer(CharTokenizer.from_text("abc"), {})
# An empty one, one that itself marks an end, one that nearly does, and one that is no ASCII.
DOCUMENTS = ["the cat sat", "", f"one{END_OF_TEXT}two", "<|end", "é🙂", "the rat ran\n" * 50]


def files(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


@task
def test_the_file_holds_what_encoding_at_once_gives(tmp_path):
    """All documents as one text, each behind an end mark."""
    path = tmp_path / "new" / "ids.npy"
    count = write_tokens(path, iter(DOCUMENTS), TOKENIZER)
    text = "".join(END_OF_TEXT + document for document in DOCUMENTS)
    expected = TOKENIZER.encode(text, allowed_special={END_OF_TEXT})
    ids = read_tokens(path)
    assert ids.tolist() == expected
    assert count == len(expected)
    assert TOKENIZER.decode(ids.tolist()) == text


@task
@given(st.lists(st.text("ab", max_size=8), max_size=6).filter(any))
def test_without_an_end_token_texts_are_joined(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("ids") / "ids.npy"
    assert write_tokens(path, texts, LETTERS) == len("".join(texts))
    assert LETTERS.decode(read_tokens(path).tolist()) == "".join(texts)


@task
def test_other_special_tokens_are_plain_text(tmp_path):
    both = Tokenizer(BPE, {END_OF_TEXT: 270, "<|user|>": 271})
    write_tokens(tmp_path / "ids.npy", ["a<|user|>b"], both)
    assert read_tokens(tmp_path / "ids.npy").tolist() == [270, *TOKENIZER.encode("a<|user|>b")]


@task
@pytest.mark.parametrize(
    ("last", "dtype"), [(2**16 - 1, np.uint16), (2**16, np.uint32), (100_000, np.uint32)]
)
def test_two_bytes_an_id_where_the_vocabulary_fits(tmp_path, last, dtype):
    tokenizer = Tokenizer(BPE, {END_OF_TEXT: last})
    assert tokenizer.vocab_size == last + 1
    write_tokens(tmp_path / "ids.npy", ["the cat"], tokenizer)
    ids = read_tokens(tmp_path / "ids.npy")
    assert ids.dtype == dtype
    assert ids[0] == last


@task
def test_any_reader_of_npy_files_can_read_it(tmp_path):
    write_tokens(tmp_path / "ids.npy", DOCUMENTS, TOKENIZER)
    assert np.array_equal(np.load(tmp_path / "ids.npy"), read_tokens(tmp_path / "ids.npy"))


@task
def test_the_file_is_mapped_and_cannot_be_written(tmp_path):
    write_tokens(tmp_path / "ids.npy", DOCUMENTS, TOKENIZER)
    ids = read_tokens(tmp_path / "ids.npy")
    assert isinstance(ids, np.memmap)
    assert not ids.flags.writeable


@task
@pytest.mark.parametrize("before", [None, ["abc"]])
def test_an_interrupted_write_leaves_things_as_they_were(tmp_path, before):
    path = tmp_path / "ids.npy"
    if before:
        write_tokens(path, before, TOKENIZER)
    found = [(name, (tmp_path / name).read_bytes()) for name in files(tmp_path)]

    def texts():
        yield "the cat"
        assert not before or path.is_file()
        raise ConnectionError("the network is gone")

    with pytest.raises(ConnectionError):
        write_tokens(path, texts(), TOKENIZER)
    assert [(name, (tmp_path / name).read_bytes()) for name in files(tmp_path)] == found


@task
@pytest.mark.parametrize("texts", [[], ["", ""]])
def test_no_token_at_all_is_an_error(tmp_path, texts):
    with raises(ValueError):
        write_tokens(tmp_path / "ids.npy", texts, LETTERS)
    assert files(tmp_path) == []


@task
def test_memory_is_bounded_by_the_longest_text(tmp_path):
    length = 3000

    def peak(texts):
        tracemalloc.start()
        write_tokens(tmp_path / "ids.npy", ("a" * (length - number % 7) for number in range(texts)), LETTERS)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1)  # what is made at the first call only
    assert peak(200) < peak(2) + 2 * length, "of 200 times that"


# ---- what is given


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "file.npy"
    for content in (b"", b"plain text, and no numbers", b"\x93NUMPY\x01\x00"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"file.npy is no file of token ids: "):
            read_tokens(path)
    others = ("float16", "float32", "float64", "int16", "int32", "int64", "uint8", "uint64")
    arrays = [np.zeros(3, dtype) for dtype in others]
    for array in (*arrays, np.zeros((2, 3), np.uint16), np.array(3, np.uint16)):
        np.save(path, array)
        with pytest.raises(ValueError, match=r"file.npy is no file of token ids: (float|u?int)\d+, shape"):
            read_tokens(path)
    np.save(path, np.array([None]), allow_pickle=True)
    with pytest.raises(ValueError, match="no file of token ids"):
        read_tokens(path)
    with open(path, "wb") as file:
        np.savez(file, ids=np.zeros(3, np.uint16))
    with pytest.raises(ValueError, match="no file of token ids"):
        read_tokens(path)
    with pytest.raises(FileNotFoundError):
        read_tokens(tmp_path / "missing.npy")


def test_a_file_cut_short_is_refused(tmp_path):
    path = tmp_path / "ids.npy"
    write_tokens(path, DOCUMENTS, TOKENIZER)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="no file of token ids"):
        read_tokens(path)


def test_the_cache_is_made_once_and_anew_for_another_tokenizer(own_folders):
    asked = []

    def texts():
        asked.append(1)
        return iter(DOCUMENTS)

    first = cached_tokens("documents", texts, TOKENIZER)
    again = cached_tokens("documents", texts, Tokenizer(BPE, {END_OF_TEXT: 270}))
    assert np.array_equal(first, again)
    assert len(asked) == 1
    marked = cached_tokens("documents", texts, Tokenizer(BPE, {END_OF_TEXT: 271}))
    assert marked[0] == 271
    longer = cached_tokens(
        "documents", texts, Tokenizer(ByteBPE.train(["the cat sat on the mat"], 265), {END_OF_TEXT: 270})
    )
    assert len(longer) > len(first), "fewer merges"
    cached_tokens("other", texts, TOKENIZER)
    assert len(asked) == 4
    found = files(own_folders)
    assert len(found) == 4
    assert all(path.parts[:2] == ("data", "tokens") for path in found)
