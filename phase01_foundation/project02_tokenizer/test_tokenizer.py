import numpy as np
import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from phase01_foundation.project01_minimal_gpt.tokenizer import CharTokenizer
from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.given.training import train_tokenizer
from phase01_foundation.project02_tokenizer.pretokenize import GPT2
from phase01_foundation.project02_tokenizer.tokenizer import Model, Tokenizer
from phase01_foundation.project02_tokenizer.words import WordTokenizer
from shared import tinyworld

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
    with pytest.raises(ValueError, match=r"'<\|end\|>' at position 4, which is not allowed"):
        bpe.encode("the <|end|>")
    assert bpe.encode("the <|end|>", allowed_special={END})[-1] == bpe.special_tokens[END]
    assert bpe.special_tokens[END] not in bpe.encode("the <|end|>", disallowed_special=())
    with pytest.raises(ValueError, match="no special token of this tokenizer"):
        bpe.encode("the", allowed_special={"<|stop|>"})


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
    with pytest.raises(ValueError, match="there is no token with the id 99999"):
        bpe.decode([99999])


@task
def test_characters_and_words_know_special_tokens_too():
    for kind, size in (("char", None), ("word", 6)):
        tokenizer = train_tokenizer(["a cat"], kind, size, [END])
        ids = tokenizer.encode("a cat<|end|>a", allowed_special="all")
        assert tokenizer.special_tokens[END] in ids
        assert tokenizer.decode(ids) == "a cat<|end|>a"
        assert tokenizer.decode_bytes(ids) == b"a cat<|end|>a"


def test_a_whole_text_has_tiktokens_ids(bpe, peer, world):
    assert bpe.encode(world) == peer.encode(world)
    assert bpe.vocab_size == peer.n_vocab


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


def test_batches_and_arrays_refuse_what_encode_refuses(bpe):
    with pytest.raises(ValueError, match="not allowed"):
        bpe.encode_batch(["the", END], threads=2)
    with pytest.raises(ValueError, match="not allowed"):
        bpe.encode_to_array(END)
    with pytest.raises(ValueError, match="threads must be at least 1, not 0"):
        bpe.encode_batch([], threads=0)


def test_the_models_keep_to_the_protocol(bpe):
    for model in (CharTokenizer("ab"), WordTokenizer(["<unk>"]), bpe.model):
        assert isinstance(model, Model)


@pytest.mark.parametrize(
    ("special_tokens", "message"),
    [
        ({"": 256}, "a special token has an empty name"),
        ({"<x>": 255}, "'<x>' cannot have the id 255: it is taken"),
        ({"<x>": -1}, "'<x>' cannot have the id -1"),
        ({"<x>": 256, "<y>": 256}, "'<y>' cannot have the id 256: it is taken"),
    ],
)
def test_impossible_special_tokens_are_refused(special_tokens, message):
    with pytest.raises(ValueError, match=message):
        Tokenizer(ByteBPE.from_merges([]), special_tokens)


def test_special_tokens_may_leave_gaps():
    tokenizer = Tokenizer(ByteBPE.from_merges([]), {"<x>": 1000})
    assert tokenizer.vocab_size == 1001
    assert tokenizer.decode(tokenizer.encode("a<x>", allowed_special="all")) == "a<x>"


# ---- training


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
