import numpy as np
import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from phase01_foundation.project01_minimal_gpt.tokenizer import CharTokenizer
from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.given.added import AddedTokens
from phase01_foundation.project02_tokenizer.given.training import train_tokenizer
from phase01_foundation.project02_tokenizer.pretokenize import GPT2
from phase01_foundation.project02_tokenizer.tokenizer import Model, Tokenizer
from phase01_foundation.project02_tokenizer.words import WordTokenizer
from shared import tinyworld
from shared.testing import raises

END, PAD = "<|end|>", "<|pad|>"
texts = st.lists(st.sampled_from([END, PAD, "<|e", "the ", "cat", "é🙂", "\n"])).map("".join)

task = pytest.mark.task(8)


@pytest.fixture(scope="module")
def world():
    return tinyworld.text("train", 0, 100_000)


@pytest.fixture(scope="module")
def bpe(world):
    return train_tokenizer([world], "bpe", 502, [END, PAD])


@pytest.fixture(scope="module")
def peer(bpe):
    """tiktoken with our vocabulary."""
    ranks = {token: id for id, token in bpe.model.tokens.items()}
    return tiktoken.Encoding("peer", pat_str=GPT2, mergeable_ranks=ranks, special_tokens=bpe.special_tokens)


def outcome(encode, text, **special):
    try:
        return encode(text, **special)
    except ValueError:
        return "refused"


@task
@pytest.mark.parametrize("allowed", [set(), {END}, "all"])
@pytest.mark.parametrize("disallowed", [set(), {PAD}, "all"])
@given(text=texts)
def test_special_tokens_are_taken_as_tiktoken_takes_them(bpe, peer, allowed, disallowed, text):
    special = {"allowed_special": allowed, "disallowed_special": disallowed}
    assert outcome(bpe.encode, text, **special) == outcome(peer.encode, text, **special)


@task
def test_a_special_token_is_refused_unless_allowed(bpe):
    with raises(ValueError, END, 4):
        bpe.encode("the <|end|>")
    assert bpe.encode("the <|end|>", allowed_special={END})[-1] == bpe.special_tokens[END]
    assert bpe.special_tokens[END] not in bpe.encode("the <|end|>", disallowed_special=())
    for unknown in ({"allowed_special": {"<|stop|>"}}, {"disallowed_special": {"<|stop|>"}}):
        with raises(ValueError, "<|stop|>"):
            bpe.encode("the", **unknown)


@task
def test_an_empty_text_has_no_ids(bpe):
    assert bpe.encode("") == []
    assert bpe.encode("", allowed_special="all") == []
    assert bpe.decode([]) == ""
    assert bpe.decode_bytes([]) == b""


@task
def test_ids_are_whole_numbers_in_a_list(bpe):
    ids = bpe.encode("the cat<|end|>", allowed_special="all")
    assert type(ids) is list
    assert {type(id) for id in ids} == {int}
    assert bpe.decode(iter(ids)) == "the cat<|end|>", "ids may come one by one"


@task
@given(text=texts)
def test_decoding_undoes_encoding_special_tokens_and_all(bpe, text):
    assert bpe.decode(bpe.encode(text, allowed_special="all")) == text
    assert bpe.decode(bpe.encode(text, disallowed_special=())) == text


@task
def test_decoding_equals_tiktoken_also_where_a_character_is_cut(bpe, peer):
    ids = [*bpe.encode("é🙂")[:-1], bpe.special_tokens[END], *bpe.encode("🙂")[1:], 65]
    assert bpe.decode_bytes(ids) == peer.decode_bytes(ids)
    assert bpe.decode(ids) == peer.decode(ids)
    for decode in (bpe.decode, bpe.decode_bytes):
        with raises(ValueError, 99999):
            decode([65, 99999])


@task
def test_characters_and_words_know_special_tokens_too():
    for kind, size in (("char", None), ("word", 6)):
        tokenizer = train_tokenizer(["a cat"], kind, size, [END])
        ids = tokenizer.encode("a cat<|end|>a", allowed_special="all")
        assert tokenizer.special_tokens[END] in ids
        assert tokenizer.decode(ids) == "a cat<|end|>a"
        assert tokenizer.decode_bytes(ids) == b"a cat<|end|>a"


@task
def test_a_whole_text_has_tiktokens_ids(bpe, peer, world):
    assert bpe.encode(world) == peer.encode(world)
    assert bpe.vocab_size == peer.n_vocab


@task
@pytest.mark.parametrize(("kind", "size"), [("char", None), ("word", 300), ("bpe", 300)])
def test_arrays_and_batches_have_the_same_ids(world, kind, size):
    tokenizer = train_tokenizer([world], kind, size, [END])
    lines = world[:3000].splitlines(keepends=True)
    expected = [tokenizer.encode(line + END, allowed_special="all") for line in lines]
    lines = [line + END for line in lines]
    for threads in (1, 3):
        assert tokenizer.encode_batch(lines, allowed_special="all", threads=threads) == expected
    array = tokenizer.encode_to_array("".join(lines), allowed_special={END})
    assert array.dtype == np.int32
    assert array.tolist() == tokenizer.encode("".join(lines), allowed_special={END})
    assert tokenizer.encode_to_array("").shape == (0,)


@task
def test_batches_and_arrays_refuse_what_encode_refuses(bpe):
    with raises(ValueError, END, 0):
        bpe.encode_batch(["the", END], threads=2)
    with raises(ValueError, END, 0):
        bpe.encode_to_array(END)


@task
def test_special_tokens_may_leave_gaps():
    tokenizer = Tokenizer(ByteBPE.from_merges([]), {"<x>": 2**31 - 1, "<y>": 1000})
    assert tokenizer.vocab_size == 2**31
    ids = tokenizer.encode("a<x><y>", allowed_special="all")
    assert ids == [64, 2**31 - 1, 1000]
    assert tokenizer.encode_to_array("a<x><y>", allowed_special="all").tolist() == ids
    assert tokenizer.decode(ids) == "a<x><y>"


@task
def test_added_tokens_are_always_taken(world):
    for kind, size in (("char", None), ("word", 300), ("bpe", 300)):
        model = train_tokenizer([world], kind, size).model
        first = model.vocab_size
        tokenizer = Tokenizer(model, {END: first}, AddedTokens({"  ": first + 1, "the": first + 2}, {"the"}))
        text = "the  cat<|end|>other the"
        ids = tokenizer.encode(text, allowed_special={END})
        parts = [model.encode(part) for part in ("cat", "other ")]
        assert ids == [first + 2, first + 1, *parts[0], first, *parts[1], first + 2]
        assert tokenizer.encode_to_array(text, allowed_special="all").tolist() == ids
        assert tokenizer.decode(ids).endswith("<|end|>other the" if kind != "word" else "the")
        assert tokenizer.vocab_size == first + 3
        with raises(ValueError, END, 8):
            tokenizer.encode(text)


# ---- the rest of the tokenizer


@pytest.mark.parametrize("id", [65.0, "65", None])
def test_an_id_that_is_no_whole_number_is_refused(bpe, id):
    with pytest.raises(TypeError):
        bpe.decode(iter([65, id]))
    assert bpe.decode(iter(np.array([65, 66]))) == bpe.decode([65, 66])


@pytest.mark.parametrize("id", [2**40, -1])
def test_an_id_of_any_size_is_named(bpe, id):
    for model in (CharTokenizer("ab"), WordTokenizer(["<unk>"]), bpe.model):
        with raises(ValueError, str(id)):
            Tokenizer(model).decode([id])


def test_batches_need_a_thread(bpe):
    with pytest.raises(ValueError, match="threads must be at least 1, not 0"):
        bpe.encode_batch([], threads=0)


def test_the_models_keep_to_the_protocol(bpe):
    for model in (CharTokenizer("ab"), WordTokenizer(["<unk>"]), bpe.model):
        assert isinstance(model, Model)


@pytest.mark.parametrize(
    ("special_tokens", "message"),
    [
        ({"": 256}, "token has an empty name"),
        ({"<x>": 255}, "'<x>' cannot have the id 255: it is taken"),
        ({"<y>": 256, "<x>": 257.0}, "'<x>' cannot have the id 257.0"),
        ({"<x>": -1}, "'<x>' cannot have the id -1"),
        ({"<x>": 2**31}, "'<x>' cannot have the id 2147483648: ids go from 0 to 2147483647"),
        ({"<x>": 2**40}, "'<x>' cannot have the id 1099511627776"),
        ({"<x>": 256, "<y>": 256}, "'<y>' cannot have the id 256: it is taken"),
    ],
)
def test_impossible_special_tokens_are_refused(special_tokens, message):
    with pytest.raises(ValueError, match=message):
        Tokenizer(ByteBPE.from_merges([]), special_tokens)
    with pytest.raises(ValueError, match=message):
        Tokenizer(ByteBPE.from_merges([]), {}, AddedTokens(special_tokens))


def test_a_name_has_one_meaning():
    with pytest.raises(ValueError, match="'<x>' cannot be a special token and an added one"):
        Tokenizer(CharTokenizer("a"), {"<x>": 1}, AddedTokens({"<x>": 2}))


# ---- training


@pytest.mark.task(7)
def test_special_tokens_in_the_texts_are_not_learnt(world):
    marked = [f"{line}{END}" for line in world[:20_000].splitlines(keepends=True)]
    tokenizer = train_tokenizer(marked, "bpe", 400, [END])
    assert tokenizer.vocab_size == 400
    assert tokenizer.special_tokens == {END: 399}
    assert not any(b"<|" in token or b"|>" in token for token in tokenizer.model.tokens.values())
    assert train_tokenizer(["a<|end|>b"], "char", None, [END]).model.alphabet == "ab"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "unigram"}, "no kind 'unigram' of tokenizer; there is char, word, bpe"),
        ({"kind": "char", "vocab_size": 10}, "characters take no vocab_size"),
        (
            {"vocab_size": None},
            "vocab_size must be at least 257, the 256 bytes and 1 special tokens, not None",
        ),
        ({"vocab_size": 256}, "vocab_size must be at least 257"),
        (
            {"kind": "word", "vocab_size": 2},
            "vocab_size must be at least 3, a word, <unk> and 1 special tokens",
        ),
        ({"special_tokens": ["a", "a"]}, "special tokens must be different and not empty: 'a', 'a'"),
        ({"special_tokens": [""]}, "special tokens must be different and not empty"),
        ({"pattern": "bert"}, "no pattern 'bert'"),
        ({"least": 0}, "least must be at least 1, not 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        train_tokenizer([], **{"kind": "bpe", "vocab_size": 300, "special_tokens": [END], **settings})
