"""The same as bpe.py in C++: scan.cpp, encode.cpp, count.cpp and learn.cpp, compiled on first use.

`kernels()` is None where there is no compiler; then bpe.py does the work. The tests prove the two equal.
"""

import ctypes
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from ctypes import c_int32, c_int64
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import regex
from jaxtyping import Int64, UInt8

from phase01_foundation.project02_tokenizer.bpe import Pair
from phase01_foundation.project02_tokenizer.given.byte_level import BYTES
from phase01_foundation.project02_tokenizer.pretokenize import PATTERNS, check_pattern, to_bytes
from shared.native import ADDRESS, function, load

FOLDER = Path(__file__).parent
SOURCES = ("scan.cpp", "encode.cpp", "count.cpp", "learn.cpp")
SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "split_pieces": (c_int64, [ADDRESS, c_int32, ADDRESS, c_int64, ADDRESS]),
    "encoder_new": (ADDRESS, [ADDRESS, c_int32, c_int32, *[ADDRESS] * 3, c_int64, *[ADDRESS] * 2, c_int64]),
    "encoder_free": (None, [ADDRESS]),
    "cache_new": (ADDRESS, [ADDRESS, ADDRESS]),
    "cache_free": (None, [ADDRESS]),
    "encode_short": (c_int64, [ADDRESS, ADDRESS, c_int64]),
    "encode_text": (c_int64, [ADDRESS, ADDRESS, c_int64, ADDRESS]),
    "recover_merges": (None, [ADDRESS, ADDRESS, c_int64, ADDRESS, ADDRESS]),
    "counter_new": (ADDRESS, [ADDRESS, c_int32, c_int64, c_int64]),
    "counter_free": (None, [ADDRESS]),
    "counter_feed": (None, [ADDRESS, ADDRESS, c_int64]),
    "counter_size": (c_int64, [ADDRESS, ADDRESS]),
    "counter_read": (None, [ADDRESS, ADDRESS, ADDRESS, ADDRESS]),
    "counter_learn": (c_int64, [ADDRESS, ADDRESS, c_int64, c_int64, c_int32, ADDRESS, ADDRESS]),
}
# What the bits of a kind mean, in the order of `Kind` in scan.cpp.
CLASSES = (
    r"\p{L}",
    r"\p{N}",
    r"\s",
    r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]",
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]",
    r"[\r\n]",
)
SHORT = 4096  # bytes of a text; it has as many ids at most
BATCH = 1 << 18  # characters that are handed to C++ at once
BETWEEN_TEXTS = b"\xff"  # which is in no UTF-8
NUMBER_OF_PATTERN = {name: number for number, name in enumerate(PATTERNS)}


@functools.cache
def kernels() -> dict[str, Any] | None:
    """The C++ functions by name, or None where there is no compiler, which is said once."""
    # #line: an error names the file it is in, though the compiler sees one text.
    text = "".join(f'#line 1 "{name}"\n{(FOLDER / name).read_text(encoding="utf-8")}' for name in SOURCES)
    library = load(text, "tokenizer")
    if library is None:
        return None
    return {name: function(library, name, *signature) for name, signature in SIGNATURES.items()}


@functools.cache
def kinds() -> UInt8[np.ndarray, "code_points=1114112"]:
    """The kind of every code point: bit i is set where `regex` finds it in CLASSES[i]."""
    everything = "".join(map(chr, range(0x110000)))
    table = np.zeros(0x110000, dtype=np.uint8)
    for bit, name in enumerate(CLASSES):
        for match in regex.finditer(f"{name}+", everything):
            table[match.start() : match.end()] |= 1 << bit
    return table


def split_pieces(data: bytes, pattern: str) -> list[bytes]:
    """As pretokenize.split_pieces. Raises RuntimeError where there is no compiler, as everything below does."""
    check_pattern(pattern)
    ends = np.empty(len(data), dtype=np.int64)
    count = _kernels()["split_pieces"](
        kinds().ctypes.data, NUMBER_OF_PATTERN[pattern], data, len(data), ends.ctypes.data
    )
    return _cut(data, ends[:count])


class _Workspace(NamedTuple):
    """What one thread needs to encode: a cache of pieces, and room for the ids of a short text."""

    cache: int
    ids: memoryview


class Encoder:
    """Encodes bytes by merge rank; see bpe.encode_piece. Threads may use one at once."""

    def __init__(
        self, tokens: Mapping[int, bytes], made: Mapping[Pair, int], pattern: str, whole_pieces: bool
    ):
        """`tokens` are the bytes by id, every single byte among them; `made` the ids by merge, earlier ones first."""
        self._kernels, self._kinds = _kernels(), kinds()
        pairs = np.fromiter(chain.from_iterable(made), np.int32, 2 * len(made))
        made_ids = np.fromiter(made.values(), np.int32, len(made))
        # The encoder points into these, so they must live as long as it.
        self._bytes, self._ends = _joined(tokens.values())
        ids = np.fromiter(tokens, np.int32, len(tokens))
        self._encoder = self._kernels["encoder_new"](
            self._kinds.ctypes.data, NUMBER_OF_PATTERN[pattern], whole_pieces, self._bytes, self._ends.ctypes.data,
            ids.ctypes.data, len(ids), pairs.ctypes.data, made_ids.ctypes.data, len(made),
        )  # fmt: skip
        self._free: list[_Workspace] = []
        self._encode_short, self._encode_text = self._kernels["encode_short"], self._kernels["encode_text"]

    def __del__(self) -> None:
        if encoder := self.__dict__.pop("_encoder", None):
            for workspace in self._free:
                self._kernels["cache_free"](workspace.cache)
            self._kernels["encoder_free"](encoder)

    def encode(self, data: bytes, taken: Callable[[memoryview], Any] = np.array) -> Any:
        """The ids of a text given as UTF-8, which may be broken: what `taken` makes of them, by default an array.

        It gets them as they lie in memory that the next text will use.
        """
        try:
            work = self._free.pop()
        except IndexError:  # all are in use by other threads
            ids = np.empty(SHORT, dtype=np.int32)
            work = _Workspace(self._kernels["cache_new"](self._encoder, ids.ctypes.data), ids.data)
        cache, ids = work
        size = len(data)
        try:
            if size <= SHORT:
                return taken(ids[: self._encode_short(cache, data, size)])
            ids = np.empty(size, dtype=np.int32)
            return taken(ids.data[: self._encode_text(cache, data, size, ids.ctypes.data)])
        finally:
            self._free.append(work)


class PieceCounter:
    """Counts pieces, text after text, and learns merges from the counts; see bpe.count_pieces, bpe.learn_merges."""

    def __init__(self, pattern: str, longest: int, limit: int):
        self._kernels, self._kinds = _kernels(), kinds()
        check_pattern(pattern)
        self._counter = self._kernels["counter_new"](
            self._kinds.ctypes.data, NUMBER_OF_PATTERN[pattern], longest, limit
        )

    def __del__(self) -> None:
        if counter := self.__dict__.pop("_counter", None):
            self._kernels["counter_free"](counter)

    def feed(self, texts: Iterable[str]) -> None:
        """Count the pieces of texts, many at a call: a call costs as much as some hundred characters."""
        batch, size = [], 0
        for text in texts:
            batch.append(text)
            size += len(text)
            if size >= BATCH:
                self._feed(batch)
                batch, size = [], 0
        self._feed(batch)

    def _feed(self, texts: list[str]) -> None:
        try:
            data = BETWEEN_TEXTS.join(map(str.encode, texts))
        except UnicodeEncodeError:
            data = BETWEEN_TEXTS.join(map(to_bytes, texts))
        self._kernels["counter_feed"](self._counter, data, len(data))

    def counts(self) -> dict[bytes, int]:
        """How often each different piece came, in the order of first appearance."""
        size = c_int64()
        count = self._kernels["counter_size"](self._counter, ctypes.byref(size))
        data = np.empty(size.value, dtype=np.uint8)
        ends, counts = np.empty((2, count), dtype=np.int64)
        self._kernels["counter_read"](self._counter, data.ctypes.data, ends.ctypes.data, counts.ctypes.data)
        return dict(zip(_cut(data.tobytes(), ends), counts.tolist(), strict=True))

    def learn(self, merges: int, least: int) -> list[Pair]:
        """Up to `merges` merges of pairs that come `least` times or more, in the order learnt."""
        id_of_byte = np.argsort(BYTES).astype(np.int32)
        left, right = np.empty((2, merges), dtype=np.int32)
        done = self._kernels["counter_learn"](
            self._counter,
            id_of_byte.ctypes.data,
            merges,
            least,
            len(BYTES),
            left.ctypes.data,
            right.ctypes.data,
        )
        return list(zip(left[:done].tolist(), right[:done].tolist(), strict=True))


def recover_merges(tokens: Sequence[bytes]) -> list[Pair | None]:
    """As bpe.recover_merges."""
    data, ends = _joined(tokens)
    left, right = np.empty((2, len(tokens)), dtype=np.int32)
    _kernels()["recover_merges"](data, ends.ctypes.data, len(tokens), left.ctypes.data, right.ctypes.data)
    pairs = zip(left.tolist(), right.tolist(), strict=True)
    return [pair if pair[0] >= 0 else None for pair in pairs]


def _kernels() -> dict[str, Any]:
    found = kernels()
    if found is None:
        raise RuntimeError("there is no C++ compiler; bpe.py does the same without")
    return found


def _joined(tokens: Iterable[bytes]) -> tuple[bytes, Int64[np.ndarray, " tokens"]]:
    """All tokens in one, and the end of each."""
    tokens = list(tokens)
    return b"".join(tokens), np.fromiter(map(len, tokens), np.int64, len(tokens)).cumsum()


def _cut(data: bytes, ends: Int64[np.ndarray, " pieces"]) -> list[bytes]:
    edges = [0, *ends.tolist()]
    return [data[start:end] for start, end in pairwise(edges)]
