"""Guessing without a model: what followed when these words stood here before.

Text repeats itself: a name, a quotation, the code that is to be changed, the list that is to be sorted. The last tokens
are looked up in the text itself, and what came after them then is proposed now. It costs no pass of anything. Saxena
2023, Prompt Lookup Decoding (https://github.com/apoorvumang/prompt-lookup-decoding); Yang et al. 2023
(arXiv:2304.04487).
"""

from collections.abc import Sequence

from phase04_advanced_inference.project11_speculative_decoding.given.proposer import Draft, Proposal


def continuation(tokens: Sequence[int], count: int, longest: int = 3, shortest: int = 1) -> list[int]:
    """The tokens that followed where the text's last n tokens stood before; at most `count` of them.

    n is the largest from `longest` down to `shortest` for which the last n tokens stand at an earlier place as well; of
    several such places the latest counts. It may overlap the end: in "a b a b a", the last three also stand at the
    beginning. What followed there ends with the text, so there may be fewer than `count`. Where no n is found, or the
    count is 0, it is an empty list.
    """
    tokens = list(tokens)
    end = len(tokens)
    for n in range(min(longest, end - 1), shortest - 1, -1):
        last = tokens[end - n :]
        for start in range(end - n - 1, -1, -1):
            # The first token decides nearly always, and is cheaper to compare than a slice.
            if tokens[start] == last[0] and tokens[start : start + n] == last:
                return tokens[start + n : start + n + count]
    return []


class NGramProposer:
    """A Proposer that copies from the text so far. It keeps nothing between calls."""

    def __init__(self, longest: int = 3, shortest: int = 1):
        """Look for the last `longest` tokens first, then for fewer, down to `shortest`.

        Raises ValueError, naming both, unless 1 <= shortest <= longest.
        """
        if not 1 <= shortest <= longest:
            raise ValueError(f"n-grams have from 1 token, shortest first, not from {shortest} to {longest}")
        self.longest, self.shortest = longest, shortest

    def propose(self, drafts: Sequence[Draft]) -> list[Proposal]:
        """The `continuation` of each draft's text, with no probabilities, since nothing was drawn."""
        return [
            Proposal(continuation(draft.tokens, draft.count, self.longest, self.shortest)) for draft in drafts
        ]

    def forget(self, key: int) -> None:
        """There is nothing to forget."""
