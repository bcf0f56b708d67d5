"""Byte pair encoding, readable: learn merges from counted pieces, and encode a piece by merge rank.

given/fast.py does the same in C++, and gives the same ids.
"""

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from phase01_foundation.project02_tokenizer.given.byte_level import BYTES
from phase01_foundation.project02_tokenizer.pretokenize import split_pieces, to_bytes

Pair = tuple[int, int]
Ranks = Mapping[Pair, tuple[int, int]]
"""For a pair of ids: the rank of its merge, the lowest of which goes first, and the id it makes."""

LONGEST_PIECE = 1024  # bytes; in training a longer piece is cut, as nobody needs a token of such a length
PIECE_LIMIT = 2_000_000  # different pieces; to learn from so many takes about half a gigabyte in C++


def count_pieces(
    texts: Iterable[str], pattern: str = "gpt2", limit: int = PIECE_LIMIT, longest: int = LONGEST_PIECE
) -> dict[bytes, int]:
    """How often each different piece comes in the texts, in the order of first appearance.

    The pieces of a text are those of `to_bytes(text)`. Takes one text at a time, so all of them need not fit into
    memory; no piece crosses the end of a text. Pieces of more than `longest` bytes are cut after as many, again and
    again. When there are more than `limit` different ones after a text, those that came once are forgotten, then those
    that came up to twice, and so on until they are few enough. After a later text with too many, it goes on with the
    next number: where those that came twice had to go, those that came up to three times go at once.
    """
    counts: dict[bytes, int] = {}
    floor = 0
    for text in texts:
        for piece in split_pieces(to_bytes(text), pattern):
            for start in range(0, len(piece), longest):
                part = piece[start : start + longest]
                counts[part] = counts.get(part, 0) + 1
        while len(counts) > limit:
            floor += 1
            counts = {piece: count for piece, count in counts.items() if count > floor}
    return counts


def merge_pair(ids: Sequence[int], pair: Pair, made: int) -> list[int]:
    """`ids` with every occurrence of the pair replaced by the id `made`, from left to right: a a a → (aa) a."""
    merged = []
    i = 0
    while i < len(ids):
        if tuple(ids[i : i + 2]) == pair:
            merged.append(made)
            i += 2
        else:
            merged.append(ids[i])
            i += 1
    return merged


def learn_merges(pieces: Mapping[bytes, int], merges: int, least: int = 2) -> list[Pair]:
    """Up to `merges` merges, in the order learnt: each time the pair of neighbours that is the most frequent.

    `pieces` says how often each piece comes, and a pair that stands n times in a piece comes n times as often: in
    a a a there are two pairs a a, though they overlap. The merged pair is replaced as `merge_pair` does. Of equally
    frequent pairs it is the one with the smaller left id, then with the smaller right id. The bytes have the ids 0 to
    255 in the order of `BYTES`, and merge i makes the id 256 + i. It ends early when no pair comes `least` times or
    more. Nothing is ever counted anew: a merge changes the pieces that hold its pair, and only the counts of their
    pairs. Sennrich et al. 2016, algorithm 1.
    """
    id_of_byte = {byte: id for id, byte in enumerate(BYTES)}
    words = [[id_of_byte[byte] for byte in piece] for piece in pieces]
    times = list(pieces.values())
    counts: Counter[Pair] = Counter()
    where: defaultdict[Pair, set[int]] = defaultdict(set)  # the pieces that hold a pair, or once did
    for i, word in enumerate(words):
        for pair in pairwise(word):
            counts[pair] += times[i]
            where[pair].add(i)
    # The heap keeps the order: the most frequent first (heapq gives the smallest, hence the minus), then the ids.
    heap = [(-count, pair) for pair, count in counts.items()]
    heapq.heapify(heap)
    learnt: list[Pair] = []
    while heap and len(learnt) < merges:
        count, pair = heapq.heappop(heap)
        if -count != counts[pair]:  # the count has fallen since: back to where the pair belongs
            if counts[pair] >= least:
                heapq.heappush(heap, (-counts[pair], pair))
            continue
        if counts[pair] < least:
            break
        made = len(BYTES) + len(learnt)
        learnt.append(pair)
        grown = set()
        for i in where.pop(pair):
            old, new = words[i], merge_pair(words[i], pair, made)
            for gone in pairwise(old):
                counts[gone] -= times[i]
            for come in pairwise(new):
                counts[come] += times[i]
                if made in come:
                    where[come].add(i)
                    grown.add(come)
            words[i] = new
        for come in grown:
            heapq.heappush(heap, (-counts[come], come))
    return learnt


def encode_piece(piece: bytes, id_of: Mapping[bytes, int], ranks: Ranks) -> list[int]:
    """The ids of a piece: its bytes, merged one place at a time until no pair of neighbours has a merge.

    Each time it is the pair of the lowest rank, and the leftmost where that stands more than once.
    `id_of` is asked for the ids of single bytes. `ranks` says for a pair its rank and the id that it becomes, which
    need not follow from each other; no two pairs have one rank. Neither mapping is changed. No bytes have no ids.
    """
    ids = [id_of[piece[i : i + 1]] for i in range(len(piece))]
    never = (math.inf, 0)
    while len(ids) > 1:
        found = [ranks.get(pair, never) for pair in pairwise(ids)]
        best = min(found)
        if best == never:
            break
        i = found.index(best)  # the leftmost
        ids[i : i + 2] = [best[1]]
    return ids


def recover_merges(tokens: Sequence[bytes]) -> list[Pair | None]:
    """For each token, in the order of their ranks, the two tokens that it was made of; ids are places in `tokens`.

    Files of ranks do not say. But what a token was made of is shorter than it: merging its bytes with the merges of all
    shorter tokens (`encode_piece`, where the rank of a merge is that of the token it makes) leaves the two. A part may
    have a higher rank than its whole. None for single bytes, and for a token of which more than two are left: no merge
    can make it, so it takes no part in longer ones. Every single byte must be among the tokens, at any place.
    """
    id_of = {token: id for id, token in enumerate(tokens)}
    ranks: dict[Pair, tuple[int, int]] = {}
    merges: list[Pair | None] = [None] * len(tokens)
    for token in sorted(tokens, key=len):
        parts = encode_piece(token, id_of, ranks)
        if len(parts) == 2:
            pair = parts[0], parts[1]
            merges[id_of[token]] = pair
            ranks[pair] = (id_of[token], id_of[token])
    return merges
