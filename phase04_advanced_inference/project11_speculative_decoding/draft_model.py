"""Guessing with a small model: it writes a few tokens ahead, and the large one reads them all at once.

The small model has a cache of its own. When the large one rejects a guess, or has written one token more than was
guessed, the small one's cache no longer fits the text. Nobody tells it: before each proposal it compares what it has
read with what the text is now, and rewinds to where they part.

Leviathan et al. 2023 (arXiv:2211.17192); Chen et al. 2023 (arXiv:2302.01318).
"""

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from phase04_advanced_inference.project11_speculative_decoding.distribution import (
    distribution,
    draw,
    uniforms,
)
from phase04_advanced_inference.project11_speculative_decoding.given.proposer import Decode, Draft, Proposal
from shared.phase01 import LLM
from shared.phase03 import KVCache, step


def guess(logits: Float[Tensor, "vocab"], draft: Draft, tokens: Sequence[int]) -> tuple[int, Tensor | None]:
    """The next guessed token, given logits after the draft's text and the `tokens` guessed since, and its distribution.

    With temperature 0 it is the likeliest after the penalty; nothing is drawn, and the distribution is None. Else one
    number out of the draft's generator draws it (`draw`) from the `distribution`, float64 (vocab), of the draft's own
    params. Guesses count as used tokens.
    """
    params = draft.params
    if params.temperature == 0 and params.repetition_penalty == 1:
        return int(logits.argmax()), None
    probabilities = distribution(logits, [*draft.tokens, *tokens], params)
    if params.temperature == 0:
        return int(probabilities.argmax()), None
    [number] = uniforms(1, draft.generator)
    return draw(probabilities, number), probabilities


class DraftProposer:
    """A Proposer that lets a small model write ahead, several texts at once, each in a row of its own KVCache."""

    def __init__(self, model: LLM, rows: int = 1, decode: Decode | None = None):
        """`rows` texts at once at most. `decode` reads new tokens, as project 8's `step` with the model does.

        The model must know the target's tokens. It is put into evaluation mode.
        """
        weight = model.embedding.weight
        self.model = model.eval()
        self.decode = decode or partial(step, model)
        self.cache = KVCache(model.config, rows, dtype=weight.dtype, device=weight.device)
        self.read: list[list[int]] = [[] for _ in range(rows)]
        """the tokens that each row of the cache holds"""
        self.rows: dict[int, int] = {}
        """the row of each key; the key that was asked for last is the last"""

    def room(self, draft: Draft) -> int:
        """How many tokens can be proposed: at most draft.count, and what the small model's context allows.

        It has to read the text and all guesses but the last. 0 where the text alone is too long.
        """
        limit = self.cache.limit
        assert limit is not None
        return max(0, min(draft.count, limit - len(draft.tokens) + 1))

    def take_rows(self, drafts: Sequence[Draft]) -> list[int]:
        """The row of each draft. A new key gets a free row, else the one whose key was asked for longest ago.

        Raises ValueError, before anything changes, for more drafts than rows, naming both, and for a key that comes
        twice, naming it.
        """
        keys = [draft.key for draft in drafts]
        if len(drafts) > self.cache.rows:
            raise ValueError(f"{len(drafts)} texts at once, and there are {self.cache.rows} rows for them")
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise ValueError(f"the key {twice[0]} comes twice: each text has a row of its own")
        for draft in drafts:
            if draft.key in self.rows:
                self.rows[draft.key] = self.rows.pop(draft.key)  # now the last
        for draft in drafts:
            if draft.key not in self.rows:
                free = set(range(self.cache.rows)) - set(self.rows.values())
                row = min(free) if free else self.rows.pop(next(iter(self.rows)))
                self.rows[draft.key] = row
        return [self.rows[draft.key] for draft in drafts]

    def rewind(self, row: int, tokens: Sequence[int]) -> list[int]:
        """Rewind the row to where what it has read and `tokens` begin to differ; returns the tokens it has to read.

        At least the last token has to be read, known or not: its logits are wanted.
        """
        read = self.read[row]
        most = min(len(read), len(tokens) - 1)
        same = next((i for i in range(most) if read[i] != tokens[i]), most)
        self.cache.rewind(row, same)
        del read[same:]
        return list(tokens[same:])

    @torch.no_grad()
    def propose(self, drafts: Sequence[Draft]) -> list[Proposal]:
        """Up to `room` tokens for each draft, chosen one after the other by `guess`; all drafts side by side.

        First each row reads what it lacks (`rewind`), all in one step; then each step reads the token that was guessed
        last, of the drafts that want more. The last guess is not read. Afterwards `read` and the cache hold the text
        and the guesses but the last. A draft that has no room is not computed, and takes no row. A proposal has
        probabilities, (count, vocab) in float64, where its tokens were drawn. `take_rows` comes first, and raises what
        it says.
        """
        asked = [(draft, self.room(draft)) for draft in drafts]
        proposals = [Proposal() for _ in drafts]
        active = [i for i, (_, room) in enumerate(asked) if room]
        rows = dict(zip(active, self.take_rows([drafts[i] for i in active]), strict=True))
        new = {i: self.rewind(rows[i], drafts[i].tokens) for i in active}
        drawn: dict[int, list[Tensor]] = {i: [] for i in active}
        while active:
            logits = self._advance({rows[i]: new[i] for i in active})
            for i in active:
                token, probabilities = guess(logits[rows[i]], drafts[i], proposals[i].tokens)
                proposals[i].tokens.append(token)
                if probabilities is not None:
                    drawn[i].append(probabilities)
                new[i] = [token]
            active = [i for i in active if len(proposals[i].tokens) < asked[i][1]]
        for i, distributions in drawn.items():
            if distributions:
                proposals[i].probabilities = torch.stack(distributions)
        return proposals

    def _advance(self, new: dict[int, list[int]]) -> dict[int, Tensor]:
        """Read new tokens by row; the logits after each row's last one, by row, on the CPU."""
        lists = [new.get(row, []) for row in range(self.cache.rows)]
        logits = self.decode(self.cache, lists).cpu()
        for row, tokens in new.items():
            self.read[row] += tokens
        return dict(zip(sorted(new), logits, strict=True))

    def forget(self, key: int) -> None:
        """The key's row is free; what it has read stays, for a text that begins alike."""
        self.rows.pop(key, None)
