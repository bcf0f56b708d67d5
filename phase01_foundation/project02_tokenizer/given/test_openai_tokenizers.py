"""OpenAI's tokenizers against tiktoken, on more than 10 MB of text. What needs their files skips without them."""

import base64
import json
import os
from pathlib import Path

import pytest
import tiktoken
from tiktoken_ext import openai_public
from tokenizers import Tokenizer as TheirTokenizer

from phase01_foundation.project02_tokenizer import pretokenize
from phase01_foundation.project02_tokenizer.given import openai_tokenizers
from phase01_foundation.project02_tokenizer.given.byte_level import BYTES
from phase01_foundation.project02_tokenizer.given.openai_tokenizers import load_openai_tokenizer
from phase01_foundation.project02_tokenizer.tokenizer_json import load, to_json
from shared import tinyworld
from shared.corpora import CATALOGUE

MIRROR = Path(os.environ.get("LADDER_DATA_MIRROR") or "none")
FILES = {name: Path(file.path) for name, (file, _, _) in openai_tokenizers.RANKS.items()}
FILES["gpt2"] = Path(openai_tokenizers.VOCAB.path)
THEIR_PATTERNS = {
    "gpt2": pretokenize.GPT2,
    "cl100k_base": pretokenize.CL100K,
    "o200k_base": pretokenize.O200K,
}

needs_files = pytest.mark.skipif(
    not (MIRROR / openai_tokenizers.VOCAB.path).is_file(),
    reason=f"needs {openai_tokenizers.VOCAB.path} in LADDER_DATA_MIRROR",
)


@pytest.fixture(scope="module")
def mixed():
    """Books, WikiText-2, code, emoji, and every character there is: more than 10 MB."""
    parts = [tinyworld.text("train", 0, 100_000)]
    (wikitext,) = CATALOGUE["wikitext2"].splits["train"][0]
    books = sorted((MIRROR / "books").glob("*.txt"))[:8]
    code = sorted(Path(os.__file__).parent.glob("[a-l]*.py"))  # Python's own library
    for path in (MIRROR / wikitext.path, *books, *code):
        if path.is_file():
            parts.append(path.read_text(encoding="utf-8"))
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    parts.append("".join(f"a{c}B {c}{c}1\n" for c in every[:0x3000] + every[0xA000:0x20000:7]))
    parts.append("🙂👍🏽👩‍👩‍👧‍👦🇩🇪 I'LL we'Ve ſ'ſ  \t\r\n\n  " * 500 + "=" * 3000 + "ha" * 3000 + " " * 3000)
    return "".join(parts)


def peer_of(name, tokenizer):
    ranks = {token: id for id, token in tokenizer.model.tokens.items()}
    # Their engine writes the end of the text as \z.
    pattern = THEIR_PATTERNS[name].replace(r"\Z", r"\z")
    return tiktoken.Encoding(
        name, pat_str=pattern, mergeable_ranks=ranks, special_tokens=tokenizer.special_tokens
    )


@pytest.mark.parametrize("name", openai_tokenizers.RANKS)
def test_special_tokens_have_tiktokens_ids(name, monkeypatch):
    """With ranks for single bytes alone in the place of their file, which has no special tokens in it."""
    ranks = b"".join(base64.b64encode(bytes([byte])) + b" %d\n" % id for id, byte in enumerate(BYTES))
    monkeypatch.setattr(openai_tokenizers, "read_file", lambda file: ranks)
    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda *_, **__: {})
    tokenizer = load_openai_tokenizer(name)
    theirs = getattr(openai_public, name)()["special_tokens"]
    assert tokenizer.special_tokens == theirs
    for token, id in theirs.items():
        assert tokenizer.encode(f"a{token}", allowed_special="all") == [64, id]
        assert tokenizer.decode([64, id]) == f"a{token}"


@needs_files
@pytest.mark.parametrize("name", ["gpt2", "cl100k_base", "o200k_base"])
def test_ten_megabytes_have_tiktokens_ids(mixed, name):
    tokenizer = load_openai_tokenizer(name)
    ids = tokenizer.encode_to_array(mixed, disallowed_special=())
    expected = peer_of(name, tokenizer).encode_ordinary(mixed)
    assert ids.tolist() == expected
    assert b"".join([tokenizer.model.tokens[id] for id in expected]).decode() == mixed
    assert len(mixed.encode()) > (10_000_000 if (MIRROR / "wikitext-2/train.txt").is_file() else 0)


@needs_files
@pytest.mark.parametrize("name", ["gpt2", "cl100k_base", "o200k_base"])
def test_broken_bytes_come_back(mixed, name):
    data = bytearray(mixed[-100_000:].encode())
    data[::17] = b"\xff" * len(data[::17])
    model = load_openai_tokenizer(name).model
    assert model.decode_bytes(model.encode_bytes(bytes(data)).tolist()) == bytes(data)


@needs_files
def test_gpt2s_two_forms_are_one(mixed):
    gpt2, r50k = load_openai_tokenizer("gpt2"), load_openai_tokenizer("r50k_base")
    assert gpt2.model.tokens == r50k.model.tokens
    assert gpt2.model.merges == r50k.model.merges, "the merges are recovered from the ranks"
    assert gpt2.special_tokens == r50k.special_tokens


@needs_files
@pytest.mark.parametrize("name", ["gpt2", "cl100k_base", "o200k_base"])
def test_their_tokenizer_json_opens_with_the_same_ids(mixed, name):
    tokenizer = load_openai_tokenizer(name)
    their = TheirTokenizer.from_str(json.dumps(to_json(tokenizer)))
    text = mixed[:100_000] + mixed[-100_000:]
    assert their.encode(text).ids == tokenizer.encode(text)
    assert their.get_vocab_size() <= tokenizer.vocab_size


@needs_files
def test_gpt2s_own_tokenizer_json_is_read():
    path = MIRROR / "tokenizers/gpt2/tokenizer.json"
    if not path.is_file():
        pytest.skip("needs tokenizers/gpt2/tokenizer.json in LADDER_DATA_MIRROR")
    loaded, gpt2 = load(path), load_openai_tokenizer("gpt2")
    assert loaded.model.tokens == gpt2.model.tokens
    assert loaded.model.merges == gpt2.model.merges
    assert loaded.special_tokens == gpt2.special_tokens
