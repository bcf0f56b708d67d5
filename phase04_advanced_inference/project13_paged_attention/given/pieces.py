"""The bytes that each token stands for, and a trie of them: tokens with the same beginning share a path."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.phase01 import ByteBPE, PromptTokenizer, Tokenizer


def token_pieces(tokenizer: Any, vocab_size: int, special: bool = True) -> list[bytes]:
    """The bytes of each token from 0 to vocab_size - 1, for a tokenizer whose texts are those of its tokens, joined.

    Joined and decoded as UTF-8, with errors="replace", they are what the tokenizer's `decode` gives: so it is with
    phase 1's CharTokenizer, WordTokenizer, ByteBPE, Tokenizer and PromptTokenizer. A token of a ByteBPE may be a part
    of a character. An id without a token has no bytes. Special tokens have those of their names, and none where
    `special` is False: what a guide writes is text, and `<|endoftext|>` is not.
    """
    if isinstance(tokenizer, PromptTokenizer):
        tokenizer = tokenizer.tokenizer
    names = tokenizer.special_tokens.values() if isinstance(tokenizer, Tokenizer) else ()
    hidden = set() if special else set(names)
    return [b"" if token in hidden else _piece(tokenizer, token) for token in range(vocab_size)]


def _piece(tokenizer: Any, token: int) -> bytes:
    try:
        if isinstance(tokenizer, Tokenizer | ByteBPE):
            return tokenizer.decode_bytes([token])
        return tokenizer.decode([token]).encode()
    except ValueError:  # there is no such token
        return b""


@dataclass(slots=True)
class Node:
    """A place in the trie: the tokens that end here, and where each next byte leads."""

    tokens: list[int] = field(default_factory=list)
    children: dict[bytes, "Node"] = field(default_factory=dict)


def token_trie(pieces: Sequence[bytes], leave_out: Sequence[int] = ()) -> Node:
    """The trie of the tokens that have bytes, without those left out; from its root, a path is bytes one by one."""
    root = Node()
    for token, piece in enumerate(pieces):
        if not piece or token in leave_out:
            continue
        node = root
        for i in range(len(piece)):
            node = node.children.setdefault(piece[i : i + 1], Node())
        node.tokens.append(token)
    return root


def spelling(pieces: Sequence[bytes]) -> list[bytes]:
    """The pieces of one byte or one character; the others, and those of other tokens, are b"".

    Whatever tokens can write, these can often write too, and there are fewer of them.
    """
    return [piece if len(piece) == 1 or _characters(piece) == 1 else b"" for piece in pieces]


def spells_all(letters: Sequence[bytes], pieces: Sequence[bytes]) -> bool:
    """Whether each piece is some letters, joined: byte by byte, or character by character."""
    known = set(letters)
    return all(
        all(piece[i : i + 1] in known for i in range(len(piece)))
        or (_characters(piece) > 0 and all(character.encode() in known for character in piece.decode()))
        for piece in pieces
    )


def _characters(piece: bytes) -> int:
    try:
        return len(piece.decode())
    except UnicodeDecodeError:
        return 0
