"""The bytes of tokens, joined, are what a tokenizer decodes; and tries."""

import pytest

from phase04_advanced_inference.project13_paged_attention.given.pieces import (
    spelling,
    spells_all,
    token_pieces,
    token_trie,
)
from shared.phase01 import ByteBPE, CharTokenizer, PromptTokenizer, Tokenizer, WordTokenizer

TEXT = "the boat, the é and 🐻"
BYTES = ByteBPE.train([TEXT] * 3, 262)


@pytest.mark.parametrize(
    "tokenizer",
    [
        CharTokenizer.from_text(TEXT),
        WordTokenizer(["<unk>", "the", " boat", ",", " the", " é"]),
        BYTES,
        Tokenizer(BYTES, {"<|end|>": 262}),
        PromptTokenizer(Tokenizer(BYTES, {"<|end|>": 262}), [262]),
    ],
)
def test_joined_they_are_what_it_decodes(tokenizer):
    pieces = token_pieces(tokenizer, 300)
    ids = tokenizer.encode(TEXT)
    assert b"".join(pieces[token] for token in ids).decode(errors="replace") == tokenizer.decode(ids)
    assert len(pieces) == 300
    assert pieces[299] == b""


def test_special_tokens_have_their_names_or_nothing():
    tokenizer = Tokenizer(BYTES, {"<|end|>": 262, "<|pad|>": 270})
    pieces = token_pieces(tokenizer, tokenizer.vocab_size)
    assert (pieces[262], pieces[265], pieces[270]) == (b"<|end|>", b"", b"<|pad|>")
    assert token_pieces(tokenizer, 271, special=False)[262] == b""
    assert token_pieces(tokenizer, 271, special=False)[:262] == pieces[:262]


def test_a_trie_has_each_token_at_the_end_of_its_bytes():
    trie = token_trie([b"a", b"ab", b"", b"b", b"a", b"abc"], leave_out=[3])
    assert list(trie.children) == [b"a"]
    assert trie.children[b"a"].tokens == [0, 4]
    assert trie.children[b"a"].children[b"b"].tokens == [1]
    assert trie.children[b"a"].children[b"b"].children[b"c"].tokens == [5]
    assert trie.tokens == []


def test_what_spells_is_one_character_or_one_byte():
    pieces = [b"a", b"ab", "é".encode(), b"\xc3", b"", "é!".encode(), b"\xc3a"]
    assert spelling(pieces) == [b"a", b"", "é".encode(), b"\xc3", b"", b"", b""]
    assert not spells_all(spelling(pieces), pieces)


@pytest.mark.parametrize(
    ("letters", "pieces", "expected"),
    [
        ([b"a", b"b"], [b"ab", b"", b"bba"], True),
        ([b"a", b"b"], [b"ab", b"abc"], False),
        ([b"\xc3", b"\xa9"], ["éé".encode(), b"\xa9"], True),
        (["é".encode(), b"a"], ["aé".encode()], True),
        (["é".encode(), b"a"], ["aé".encode()[:2]], False),
    ],
)
def test_letters_spell_a_piece_by_bytes_or_by_characters(letters, pieces, expected):
    assert spells_all(letters, pieces) == expected
