"""The byte-level BPE tokenizer: tokens, merges and a pattern. The work is done in C++ where there is a compiler."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Int32

from phase01_foundation.project02_tokenizer import bpe
from phase01_foundation.project02_tokenizer.bpe import LONGEST_PIECE, PIECE_LIMIT, Pair
from phase01_foundation.project02_tokenizer.given import fast
from phase01_foundation.project02_tokenizer.given.byte_level import BYTES
from phase01_foundation.project02_tokenizer.given.long_pieces import LONG, merge_by_heap
from phase01_foundation.project02_tokenizer.pretokenize import check_pattern, split_pieces, to_bytes


class ByteBPE:
    """Encodes any text, even any bytes, and loses nothing."""

    def __init__(
        self,
        tokens: Mapping[int, bytes],
        merges: Sequence[Pair],
        pattern: str = "gpt2",
        whole_pieces: bool = False,
        native: bool = True,
    ):
        """`tokens` are the bytes by id; `merges` are pairs of ids, of which earlier ones go first.

        Of a merge that comes again only the last counts, as in `tokenizers` and in GPT-2's own code.
        `pattern` is a name in pretokenize.PATTERNS. With `whole_pieces`, a piece that is a token as a whole gets its
        id without merging, as tiktoken does; it matters only for tokens that no merge can make. `native=False` keeps
        to Python. Raises ValueError for a byte without a token, two ids for one token, and a merge whose parts or
        whole are no tokens.
        """
        check_pattern(pattern)
        self.tokens, self.pattern, self.whole_pieces = dict(tokens), pattern, whole_pieces
        self.id_of = {token: id for id, token in self.tokens.items()}
        _check(self.tokens, self.id_of)
        made = _made(self.tokens, self.id_of, merges)
        self.merges = list(made)
        self._encoder, self._ranks = None, {}
        if native and fast.kernels() is not None:
            self._encoder = fast.Encoder(self.tokens, made, pattern, whole_pieces)
        else:
            self._ranks = {pair: (rank, id) for rank, (pair, id) in enumerate(made.items())}
        self._encode_piece = lru_cache(maxsize=1 << 16)(
            self._encode_new_piece
        )  # most words of a text come again

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        pattern: str = "gpt2",
        least: int = 2,
        piece_limit: int = PIECE_LIMIT,
        native: bool = True,
    ) -> "ByteBPE":
        """Learn a vocabulary of that size from texts, which are taken one at a time; see bpe.learn_merges.

        It is smaller when no pair comes `least` times or more. Raises ValueError for a vocab_size below 256, the
        bytes, and for `least` or `piece_limit` below 1.
        """
        check_pattern(pattern)
        if vocab_size < len(BYTES):
            raise ValueError(f"vocab_size must be at least {len(BYTES)}, one for each byte, not {vocab_size}")
        if least < 1 or piece_limit < 1:
            raise ValueError(f"least and piece_limit must be at least 1, not {least} and {piece_limit}")
        wanted = vocab_size - len(BYTES)
        if native and fast.kernels() is not None:
            counter = fast.PieceCounter(pattern, LONGEST_PIECE, piece_limit)
            counter.feed(texts)
            merges = counter.learn(wanted, least)
        else:
            merges = bpe.learn_merges(bpe.count_pieces(texts, pattern, piece_limit), wanted, least)
        return cls.from_merges(merges, pattern, native)

    @classmethod
    def from_merges(cls, merges: Sequence[Pair], pattern: str = "gpt2", native: bool = True) -> "ByteBPE":
        """The tokenizer whose bytes have the ids 0 to 255 in the order of `BYTES`, and whose merge i makes 256 + i."""
        tokens = [bytes([byte]) for byte in BYTES]
        for left, right in merges:
            tokens.append(tokens[left] + tokens[right])
        return cls(dict(enumerate(tokens)), merges, pattern, native=native)

    @property
    def vocab_size(self) -> int:
        """One more than the highest id."""
        return max(self.tokens) + 1

    def encode(self, text: str) -> list[int]:
        """The ids of a text."""
        if self._encoder:
            return self._encoder.encode(to_bytes(text), memoryview.tolist)
        return self.encode_bytes(to_bytes(text)).tolist()

    def encode_bytes(self, data: bytes) -> Int32[np.ndarray, " tokens"]:
        """The ids of a text given as UTF-8. Bytes that are no valid UTF-8 are kept: `decode_bytes` gives them back."""
        if self._encoder:
            return self._encoder.encode(data)
        ids = [id for piece in split_pieces(data, self.pattern) for id in self._encode_piece(piece)]
        return np.array(ids, dtype=np.int32)

    def decode(self, ids: Iterable[int]) -> str:
        """The text whose ids these are. Bytes that are no valid UTF-8 become U+FFFD, the replacement character.

        A character may be spread over several tokens. Raises ValueError as `decode_bytes` does.
        """
        return self.decode_bytes(ids).decode(errors="replace")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes whose ids these are, one token after the other, with nothing replaced.

        Raises ValueError for an id that stands for no token, naming it and the highest id.
        """
        try:
            return b"".join([self.tokens[id] for id in ids])
        except KeyError as unknown:
            raise ValueError(
                f"there is no token with the id {unknown}; ids go from 0 to {self.vocab_size - 1}"
            ) from None

    def _encode_new_piece(self, piece: bytes) -> list[int]:
        if self.whole_pieces and piece in self.id_of:
            return [self.id_of[piece]]
        if len(piece) > LONG:
            return merge_by_heap(
                [self.id_of[piece[i : i + 1]] for i in range(len(piece))],
                lambda left, right: self._ranks.get((left, right)),
            )
        return bpe.encode_piece(piece, self.id_of, self._ranks)


def _check(tokens: Mapping[int, bytes], id_of: Mapping[bytes, int]) -> None:
    if lacking := [byte for byte in range(256) if bytes([byte]) not in id_of]:
        raise ValueError(f"{len(lacking)} of the 256 bytes have no token, the first is 0x{lacking[0]:02X}")
    if len(id_of) < len(tokens):
        id, token = next((id, token) for id, token in tokens.items() if id_of[token] != id)
        raise ValueError(f"the token {token!r} has two ids, {id} and {id_of[token]}")
    if odd := [id for id in tokens if type(id) is not int]:
        raise ValueError(f"ids must be whole numbers, not {odd[0]!r}")
    if min(tokens) < 0 or max(tokens) >= 2**31:
        raise ValueError(f"ids must be from 0 to {2**31 - 1}, not {min(tokens)} to {max(tokens)}")


def _made(tokens: Mapping[int, bytes], id_of: Mapping[bytes, int], merges: Sequence[Pair]) -> dict[Pair, int]:
    """The id that each merge makes, in the order of the merges. Of one that comes again the last counts."""
    made = {}
    for rank, pair in enumerate(merges):
        left, right = pair
        if left not in tokens or right not in tokens:
            raise ValueError(f"merge {rank} joins the ids {left} and {right}, which are not both tokens")
        whole = tokens[left] + tokens[right]
        if whole not in id_of:
            raise ValueError(f"merge {rank} makes {whole!r}, which is no token")
        made.pop(pair, None)
        made[pair] = id_of[whole]
    return made
