"""Guided choice: which tokens may come next, so that in the end the text is a match, whatever the model thinks.

The text so far and a token are fine if some tokens after it lead on to a match. That the `regex` module calls it the
beginning of a match is not enough: with `ab` and the tokens "a" and "bc", "a" leads nowhere. So an ending is looked
for, in tokens; and endings that worked once are tried first, since they work again nearly always.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from collections.abc import Sequence as List

import torch
from jaxtyping import Bool
from torch import Tensor

from phase04_advanced_inference.project13_paged_attention.given.pattern import Pattern
from phase04_advanced_inference.project13_paged_attention.given.pieces import (
    Node,
    spelling,
    spells_all,
    token_trie,
)

MOST_MASKS = 256  # that are kept, of the texts asked for last
MOST_LOOKS = 500  # texts from which a search goes on before it gives up


class Guide:
    """Masks of tokens for a text that must become a match of a pattern. Nothing of it belongs to one sequence."""

    def __init__(self, pieces: List[bytes], pattern: Pattern, stop_ids: List[int] = ()):
        """`pieces` are the bytes of each token; `stop_ids` are those that end a text, and are never part of one.

        Raises ValueError, naming the pattern's source, where no token can begin a match.
        """
        self.pieces, self.pattern, self.stop_ids = pieces, pattern, tuple(stop_ids)
        self.trie = token_trie(pieces, self.stop_ids)
        letters = spelling(pieces)
        self.tries = [token_trie(letters, self.stop_ids)] + [self.trie] * (not spells_all(letters, pieces))
        """where to search for endings: among letters, and where these cannot write all that tokens can, among all"""
        self.endings: list[bytes] = []
        """bytes of tokens that made a match of something, the one that was of use last first"""
        self.masks: OrderedDict[bytes, Tensor] = OrderedDict()
        """bool, (vocab), by the text; the one asked for last comes last"""
        if not any(True for _ in self._useful(b"")):
            raise ValueError(f"with these tokens nothing can match {pattern.source!r}")

    def following(self, text: bytes, trie: Node) -> Iterator[tuple[bytes, list[int]]]:
        """The texts that a token of the trie makes of this one, as far as the pattern `begins` with them, and by which
        tokens.

        From the root down, byte by byte: where the pattern does not begin with the text and the bytes so far, no token
        below is looked at.
        """
        waiting = [(trie, text)]
        while waiting:
            node, before = waiting.pop()
            for byte, child in node.children.items():
                after = before + byte
                if self.pattern.begins(after):
                    waiting.append((child, after))
                    if child.tokens:
                        yield after, child.tokens

    def reaches(self, text: bytes) -> bool:
        """Whether some tokens after this text, or none, make a match of it.

        First whether the text is one, then whether it is with one of the `endings`, then a `search` in one of the
        `tries` after the other, until something is found. An ending that is found or was of use comes first.
        """
        if self.pattern.matches(text):
            return True
        for i, ending in enumerate(self.endings):
            if self.pattern.matches(text + ending):
                self.endings.insert(0, self.endings.pop(i))
                return True
        return any(self.search(text, trie) for trie in self.tries)

    def search(self, text: bytes, trie: Node) -> bool:
        """Look for tokens of the trie that make a match of this text, which is none. Their bytes become `endings`, and
        so does what of them remains after the first token, after the second, and so on.

        From each text that is looked at, all that `following` gives are looked at later. Texts can be endless, so at
        most MOST_LOOKS are gone on from, and then the answer is no: what a guide allows must be certain, what it
        forbids may once have been possible.

        To find an ending soon, it takes turns between three heaps: what comes from a place unlike all before (other
        bytes may follow), the newest first; of the rest what comes from the second heap itself, or while that is
        empty, the newest first: it goes deep; and all else, the oldest first.
        """
        seen: set[frozenset[bytes]] = set()
        unlike: deque[tuple[bytes, ...]] = deque([()])
        deep: deque[tuple[bytes, ...]] = deque()
        wide: deque[tuple[bytes, ...]] = deque()
        for look in range(MOST_LOOKS):
            turns = (unlike, deep, wide)
            heap = next((heap for heap in turns[look % 3 :] + turns if heap), None)
            if heap is None:
                return False
            path = heap.popleft() if heap is wide else heap.pop()
            before = text + b"".join(path)
            after = [longer[len(before) :] for longer, _ in self.following(before, trie)]
            for piece in after:
                if self.pattern.matches(before + piece):
                    whole = (*path, piece)
                    new = [b"".join(whole[i:]) for i in range(len(whole))]
                    self.endings = list(dict.fromkeys(new + self.endings))
                    return True
            place = unlike if frozenset(after) not in seen else deep if heap is deep or not deep else wide
            seen.add(frozenset(after))
            place.extend((*path, piece) for piece in after)
        return False

    def allowed(self, text: bytes) -> Bool[Tensor, "vocab"]:
        """For each token, whether it may come after the bytes written so far. The mask is kept, and not to be changed.

        One with bytes may if the text with it `reaches` a match; one of `stop_ids` if the text is a match; one without
        bytes never. A text that leads nowhere has no token at all. The masks of the MOST_MASKS texts that were asked
        for last are kept: several sequences, and guesses, ask for the same.
        """
        if text in self.masks:
            self.masks.move_to_end(text)
            return self.masks[text]
        mask = torch.zeros(len(self.pieces), dtype=torch.bool)
        for tokens in self._useful(text):
            mask[tokens] = True
        if self.stop_ids and self.pattern.matches(text):
            mask[list(self.stop_ids)] = True
        self.masks[text] = mask
        if len(self.masks) > MOST_MASKS:
            self.masks.popitem(last=False)
        return mask

    def finished(self, text: bytes) -> bool:
        """Whether a text of one token or more is complete: it is a match, and nothing can follow.

        Without `stop_ids` the model cannot say that it ends here; so then it ends with the first match.
        """
        if not text or not self.pattern.matches(text):
            return False
        if not self.stop_ids:
            return True
        mask = self.allowed(text).clone()
        mask[list(self.stop_ids)] = False
        return not mask.any()

    def _useful(self, text: bytes) -> Iterator[list[int]]:
        """The tokens after which a match can be reached, by the text that they make."""
        for after, tokens in self.following(text, self.trie):
            if self.reaches(after):
                yield tokens
