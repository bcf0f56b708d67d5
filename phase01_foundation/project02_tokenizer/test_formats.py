import base64
import json

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st
from tiktoken.load import data_gym_to_mergeable_bpe_ranks, load_tiktoken_bpe

from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.formats import (
    FormatError,
    from_ranks,
    load_gpt2_tokenizer,
    load_tiktoken,
    parse_ranks,
    save_tiktoken,
)
from phase01_foundation.project02_tokenizer.given import fast
from phase01_foundation.project02_tokenizer.given.byte_level import BYTES, printed
from phase01_foundation.project02_tokenizer.pretokenize import PATTERNS
from shared import tinyworld
from shared.testing import raises

END = {"<|endoftext|>": 700}
SINGLE = {id: bytes([byte]) for id, byte in enumerate(BYTES)}

task, recovering = pytest.mark.task(9), pytest.mark.task(10)
needs_compiler = pytest.mark.skipif(fast.kernels() is None, reason="needs a C++ compiler")


@pytest.fixture(scope="module")
def world():
    return tinyworld.text("train", 0, 100_000)


@pytest.fixture(scope="module")
def model(world):
    return ByteBPE.train([world[:50_000]], 700)


def line(token, rank):
    return base64.b64encode(token) + b" %d" % rank


# ---- task 9: the lines of a rank file


@task
def test_a_line_is_a_token_and_its_rank():
    data = b"\n".join([line(b"b", 1), line(b"a", 0), b"", b"  ", line(b" the", 2)]) + b"\n"
    assert parse_ranks(data, "x") == {0: b"a", 1: b"b", 2: b" the"}
    assert list(parse_ranks(data, "x")) == [0, 1, 2]
    assert parse_ranks(data.replace(b"\n", b"\r\n"), "x") == parse_ranks(data, "x")


@task
def test_ranks_may_have_gaps_and_any_bytes():
    data = b"\n".join([line(b"\xff\xfe", 7), line(b"\x00", 2), line(bytes(range(40)), 3)])
    assert list(parse_ranks(data, "x").items()) == [(2, b"\x00"), (3, bytes(range(40))), (7, b"\xff\xfe")]


@task
@pytest.mark.parametrize(
    "bad",
    [
        b"YQ==",
        b"11",
        b"YQ== 1 2",
        b"Y?== 1",
        b"YQ= 1",
        b"YQ==! 1",
        b"YQ== one",
        b"YQ== 1.0",
        b"\xff\xff 1",
        b" 1",
        b"==== 1",
    ],
)
def test_a_line_that_is_no_pair_is_named(bad):
    with raises(FormatError, "ranks.txt", 1):
        parse_ranks(bad, "ranks.txt")
    lines = [line(bytes([i]), 20 + i) for i in range(40)]
    lines[5] = b""  # it counts as a line
    lines[36] = bad
    shown = [bad.decode()] if bad.isascii() else []
    with raises(FormatError, "ranks.txt", 37, *shown):
        parse_ranks(b"\n".join(lines), "ranks.txt")


@task
def test_a_rank_below_0_is_named():
    with raises(FormatError, "ranks.txt", 3):
        parse_ranks(b"\n".join([line(b"a", 5), b"", line(b"b", -1)]), "ranks.txt")


@task
@pytest.mark.parametrize("again", [line(bytes([8]), 99), line(b"new", 28), line(bytes([8]), 28)])
def test_a_token_or_a_rank_that_comes_again_is_named_with_both_lines(again):
    lines = [line(bytes([i]), 20 + i) for i in range(40)]
    lines[36] = again
    with raises(FormatError, "ranks.txt", 37, 9):
        parse_ranks(b"\n".join(lines), "ranks.txt")


@task
@pytest.mark.parametrize("data", [b"", b"\n\n", b" \n"])
def test_a_file_without_tokens_is_refused(data):
    with raises(FormatError, "ranks.txt"):
        parse_ranks(data, "ranks.txt")


# ---- files as a whole


@task
@needs_compiler  # without one, it needs what task 10 writes
@pytest.mark.parametrize("pattern", ["gpt2", "cl100k", "o200k"])
def test_a_rank_file_gives_tiktokens_ids(model, world, tmp_path, pattern):
    path = tmp_path / "ours.tiktoken"
    save_tiktoken(model, path)
    ours = load_tiktoken(path, pattern, END)
    peer = tiktoken.Encoding(
        "peer",
        pat_str=PATTERNS[pattern].replace(r"\Z", r"\z"),
        mergeable_ranks=load_tiktoken_bpe(str(path)),
        special_tokens=END,
    )
    text = world + "naïve 中文 🙂 12345 I'LL don't\n\n  x\r\n" * 20
    assert ours.encode(text) == peer.encode(text)
    assert ours.model.merges == model.merges


@recovering
def test_python_reads_the_same_from_ranks_as_cpp(model):
    in_cpp, readable = (from_ranks(model.tokens, "gpt2", END, native) for native in (True, False))
    assert in_cpp.model.merges == readable.model.merges == model.merges
    assert in_cpp.model.whole_pieces
    assert in_cpp.vocab_size == 701


@recovering
@given(
    st.lists(st.text("abc", min_size=2, max_size=5), unique=True, max_size=12),
    st.lists(st.text("abc", min_size=1), max_size=8),
    st.booleans(),
)
def test_ranks_in_any_order_give_tiktokens_ids(words, texts, bytes_last):
    # A part may rank above its whole, though no training learns them so.
    single = list(SINGLE.values())
    tokens = [word.encode() for word in words]
    ordered = dict(enumerate([*tokens, *single] if bytes_last else [*single, *tokens]))
    ranks = {token: rank for rank, token in ordered.items()}
    peer = tiktoken.Encoding("peer", pat_str=PATTERNS["gpt2"], mergeable_ranks=ranks, special_tokens={})
    for native in (True, False):
        ours = from_ranks(ordered, "gpt2", {}, native)
        for text in texts:
            assert ours.encode(text) == peer.encode(text)


@recovering
def test_a_part_that_ranks_above_its_whole_is_merged_on():
    for native in (True, False):
        tokenizer = from_ranks({**SINGLE, 256: b"abc", 257: b"ab"}, "gpt2", {}, native)
        assert tokenizer.encode("abcd") == [256, *tokenizer.encode("d")]


@recovering
def test_a_rank_that_is_no_place_in_the_file_is_an_id():
    tokens = {10 * id: token for id, token in SINGLE.items()} | {2**31 - 1: b"ab"}
    for native in (True, False):
        tokenizer = from_ranks(tokens, "gpt2", {}, native)
        assert tokenizer.encode("ab") == [2**31 - 1]
        assert tokenizer.vocab_size == 2**31


def test_ids_that_are_no_ranks_make_no_rank_file(tmp_path):
    tokens = {**SINGLE, 257: b"ab", 256: b"cd"}
    ids = {token: id for id, token in SINGLE.items()}
    merges = [(ids[b"a"], ids[b"b"]), (ids[b"c"], ids[b"d"])]
    with pytest.raises(ValueError, match="ids in the order of the merges"):
        save_tiktoken(ByteBPE(tokens, merges), tmp_path / "x")
    assert not (tmp_path / "x").exists()
    # Here abc is made of a and bc alone, by tiktoken of any two of its parts.
    with pytest.raises(ValueError, match="would encode otherwise"):
        save_tiktoken(
            ByteBPE.from_merges([merges[0], (ids[b"b"], ids[b"c"]), (ids[b"a"], 257)]), tmp_path / "x"
        )
    # A token that no merge makes is taken by tiktoken where it is a whole piece.
    with pytest.raises(ValueError, match="would encode otherwise"):
        save_tiktoken(ByteBPE({**SINGLE, 256: b"abc"}, []), tmp_path / "x")
    save_tiktoken(ByteBPE({**SINGLE, 256: b"abc"}, [], whole_pieces=True), tmp_path / "x")


@task
def test_a_rank_file_without_all_bytes_is_refused(tmp_path):
    (tmp_path / "few").write_bytes(line(b"a", 0))
    with raises(FormatError, "few", 255, "0x00"):
        load_tiktoken(tmp_path / "few", "gpt2", {})


@needs_compiler
@task
def test_a_rank_that_is_too_high_for_an_id_is_refused(tmp_path):
    lines = [line(bytes([byte]), byte) for byte in range(256)]
    (tmp_path / "high").write_bytes(b"\n".join([*lines, line(b"ab", 2**31)]))
    with raises(FormatError, "high", 2**31):
        load_tiktoken(tmp_path / "high", "gpt2", {})


@pytest.fixture
def gpt2_files(model, tmp_path):
    """The model as GPT-2 wrote its own: encoder.json and vocab.bpe."""
    id_of = {printed(token): id for id, token in model.tokens.items()} | END
    pairs = [(printed(model.tokens[left]), printed(model.tokens[right])) for left, right in model.merges]
    encoder, vocab = tmp_path / "encoder.json", tmp_path / "vocab.bpe"
    encoder.write_text(json.dumps(id_of))
    vocab.write_text(
        "#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in pairs), encoding="utf-8"
    )
    return encoder, vocab


def test_gpt2s_files_give_the_model_and_its_special_token(gpt2_files, model, world):
    tokenizer = load_gpt2_tokenizer(*gpt2_files)
    assert tokenizer.model.merges == model.merges
    assert tokenizer.special_tokens == END
    assert tokenizer.model.encode(world) == model.encode(world)


def test_tiktoken_reads_the_same_from_gpt2s_files(gpt2_files):
    encoder, vocab = gpt2_files
    ranks = data_gym_to_mergeable_bpe_ranks(str(vocab), str(encoder))
    assert {id: token for token, id in ranks.items()} == load_gpt2_tokenizer(encoder, vocab).model.tokens


@pytest.mark.parametrize(
    ("encoder", "vocab", "message"),
    [
        ('{"a": 0,\n "b" 1}', "", "encoder.json, line 2: Expecting ':' delimiter"),
        ('["a"]', "", "encoder.json does not map tokens to whole numbers"),
        ('{"a": "0"}', "", "encoder.json does not map tokens to whole numbers"),
        ('{"a": 0, "b": 1}', "#version: 0.2\na b\n", "vocab.bpe, line 2: 'a b' is no pair of tokens"),
        ('{"a": 0, "b": 1}', "a\n", "vocab.bpe, line 1: 'a' is no pair of tokens"),
        ('{"a": 0, "b": 1}', "", "encoder.json: 254 of the 256 bytes have no token"),
    ],
)
def test_broken_files_are_named(tmp_path, encoder, vocab, message):
    (tmp_path / "encoder.json").write_text(encoder)
    (tmp_path / "vocab.bpe").write_text(vocab)
    with pytest.raises(FormatError, match=message):
        load_gpt2_tokenizer(tmp_path / "encoder.json", tmp_path / "vocab.bpe")
