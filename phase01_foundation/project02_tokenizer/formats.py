"""Reads the vocabulary files of others: tiktoken's rank files, and GPT-2's encoder.json with vocab.bpe."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path

from phase01_foundation.project02_tokenizer import bpe
from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.given import fast
from phase01_foundation.project02_tokenizer.given.byte_level import BYTES, unprinted
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from shared.files import write_text


class FormatError(ValueError):
    """A file is not what it should be; the message names the file, the line where there is one, and the fault."""


def parse_ranks(data: bytes, name: str) -> dict[int, bytes]:
    """The tokens by rank from the text of a tiktoken file: a line for each, "<base64 of its bytes> <rank>".

    Ranks are whole numbers from 0 on, in any order and with gaps; the result has them in rising order. Lines end as
    `splitlines` ends them; those that hold nothing but spaces are left out, but count as lines. Raises FormatError,
    always naming the file:

        for a line that is no such pair, naming its number (from 1) and the whole line; no character of the base64
            is skipped
        for a token of no bytes or a rank below 0, naming the line's number
        for a token or a rank that an earlier line has, naming both lines' numbers
        where no line has a token
    """
    tokens: dict[int, bytes] = {}
    line_of: dict[bytes, int] = {}
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            encoded, rank_text = line.split()
            token, rank = base64.b64decode(encoded, validate=True), int(rank_text)
        except ValueError:
            raise FormatError(f'{name}, line {number}: {line[:60]!r} is not "<base64> <rank>"') from None
        if not token or rank < 0:
            raise FormatError(f"{name}, line {number}: an empty token or a rank below 0")
        if token in line_of:
            raise FormatError(
                f"{name}, line {number}: the token {token!r} is in line {line_of[token]} already"
            )
        if rank in tokens:
            raise FormatError(
                f"{name}, line {number}: the rank {rank} is in line {line_of[tokens[rank]]} already"
            )
        tokens[rank], line_of[token] = token, number
    if not tokens:
        raise FormatError(f"{name} has no line with a token")
    return dict(sorted(tokens.items()))


def from_ranks(
    tokens: Mapping[int, bytes], pattern: str, special_tokens: Mapping[str, int], native: bool = True
) -> Tokenizer[ByteBPE]:
    """The tokenizer of tokens by rank, where the rank is both the id and the order of the merges.

    Raises ValueError where a byte has no token.
    """
    ordered = dict(sorted(tokens.items()))
    known = set(ordered.values())
    if lacking := [byte for byte in range(256) if bytes([byte]) not in known]:
        raise ValueError(f"{len(lacking)} of the 256 bytes have no token, the first is 0x{lacking[0]:02X}")
    merges = _merges_of(ordered, native)
    return Tokenizer(ByteBPE(ordered, merges, pattern, whole_pieces=True, native=native), special_tokens)


def _merges_of(ordered: Mapping[int, bytes], native: bool = True) -> list[bpe.Pair]:
    """The merges of tokens that are in the order of their ranks."""
    recover = fast.recover_merges if native and fast.kernels() is not None else bpe.recover_merges
    ids, pairs = list(ordered), recover(list(ordered.values()))
    return [(ids[pair[0]], ids[pair[1]]) for pair in pairs if pair]


def load_tiktoken(path: Path, pattern: str, special_tokens: Mapping[str, int]) -> Tokenizer[ByteBPE]:
    """The tokenizer of a tiktoken file; pattern and special tokens are not in it. Raises FormatError."""
    tokens = parse_ranks(Path(path).read_bytes(), str(path))
    try:
        return from_ranks(tokens, pattern, special_tokens)
    except ValueError as problem:
        raise FormatError(f"{path}: {problem}") from None


def save_tiktoken(model: ByteBPE, path: Path) -> None:
    """Write a tiktoken file; pattern and special tokens have no place in it.

    Raises ValueError unless what would be read from it is the same: there, a rank is both an id and the place of a
    merge.
    """
    ordered = dict(sorted(model.tokens.items()))
    unmade = len(ordered) - len(BYTES) - len(model.merges)
    if _merges_of(ordered) != model.merges or (unmade and not model.whole_pieces):
        raise ValueError(
            "a tiktoken file needs ids in the order of the merges: read from one, this tokenizer would encode otherwise"
        )
    lines = [f"{base64.b64encode(token).decode()} {id}\n" for id, token in ordered.items()]
    write_text(Path(path), "".join(lines))


def load_gpt2_tokenizer(encoder: Path, vocab: Path) -> Tokenizer[ByteBPE]:
    """The tokenizer of GPT-2's two files: the ids of the printed tokens, and the merges in their order.

    Raises FormatError for a file that is not what it should be.
    """
    return parse_gpt2(
        Path(encoder).read_text(encoding="utf-8"),
        Path(vocab).read_text(encoding="utf-8"),
        str(encoder),
        str(vocab),
    )


def parse_gpt2(
    encoder: str, vocab: str, encoder_name: str, vocab_name: str, native: bool = True
) -> Tokenizer[ByteBPE]:
    """As load_gpt2_tokenizer, from the files' texts; the names are for the messages."""
    try:
        id_of = json.loads(encoder)
    except json.JSONDecodeError as problem:
        raise FormatError(f"{encoder_name}, line {problem.lineno}: {problem.msg}") from None
    if not isinstance(id_of, dict) or not all(type(id) is int for id in id_of.values()):
        raise FormatError(f"{encoder_name} does not map tokens to whole numbers")
    merges, made = [], set()
    for number, line in enumerate(vocab.split("\n"), 1):
        if (number == 1 and line.startswith("#version")) or not line:
            continue
        parts = line.split(" ")
        if len(parts) != 2 or not {*parts, "".join(parts)} <= id_of.keys():
            raise FormatError(
                f"{vocab_name}, line {number}: {line!r} is no pair of tokens that makes a token"
            )
        merges.append((id_of[parts[0]], id_of[parts[1]]))
        made.add("".join(parts))
    # What is neither a byte nor made by a merge stands for no text.
    special = {token: id for token, id in id_of.items() if len(token) > 1 and token not in made}
    try:
        tokens = {id: unprinted(token) for token, id in id_of.items() if token not in special}
        return Tokenizer(ByteBPE(tokens, merges, "gpt2", native=native), special)
    except ValueError as problem:
        raise FormatError(f"{encoder_name}: {problem}") from None
