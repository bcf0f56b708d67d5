"""What a proposer is asked, what it answers, and what one is: the same for n-grams, draft models and heads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from shared.phase01 import SamplingParams
from shared.phase03 import KVCache

Decode = Callable[[KVCache, Sequence[Sequence[int]]], Tensor]
"""what reads new tokens of each row and gives logits (row, vocab) after each row's last one, as project 8's `step`"""


@dataclass(slots=True)
class Draft:
    """A request: what may come after this text?"""

    key: int
    """which text it is: the same at each request for the same text"""
    tokens: list[int]
    """all of the text so far, the prompt too; at least one token"""
    count: int
    """how many tokens to propose at most, 0 or more"""
    params: SamplingParams = field(default_factory=SamplingParams)
    """how the text's tokens are chosen"""
    generator: torch.Generator = field(default_factory=torch.Generator)
    """the text's own: all that is drawn for it is drawn from here"""
    hidden: Float[Tensor, "dim"] | None = None
    """the target's residual stream at the token before the last one, where the last one was chosen; None before the
    first pass, and where the target does not give it"""


@dataclass(slots=True)
class Proposal:
    """An answer: tokens that may come next, none too."""

    tokens: list[int] = field(default_factory=list)
    probabilities: Float[Tensor, "count vocab"] | None = None
    """the distribution that each token was drawn from, float64; None where nothing was drawn"""


@runtime_checkable
class Proposer(Protocol):
    """Guesses how texts go on. A guess may be wrong, but must be cheap."""

    def propose(self, drafts: Sequence[Draft]) -> list[Proposal]:
        """A proposal for each draft, in their order, with at most draft.count tokens."""
        ...

    def forget(self, key: int) -> None:
        """This text has ended: what is kept for it may go. A key that is not known is no mistake."""
        ...


def check_proposals(drafts: Sequence[Draft], proposals: Sequence[Proposal], vocab_size: int) -> None:
    """Raises ValueError, naming the facts, for proposals that the target cannot judge: too many, or of other tokens."""
    if len(proposals) != len(drafts):
        raise ValueError(f"{len(drafts)} drafts were asked for, and {len(proposals)} proposals came")
    for draft, proposal in zip(drafts, proposals, strict=True):
        tokens, probabilities = proposal.tokens, proposal.probabilities
        if len(tokens) > draft.count:
            raise ValueError(
                f"at most {draft.count} tokens were asked for, and the proposal has {len(tokens)}"
            )
        if odd := [token for token in tokens if not 0 <= token < vocab_size]:
            raise ValueError(
                f"the proposal has the id {odd[0]}; the target knows those from 0 to {vocab_size - 1}"
            )
        if probabilities is not None and tuple(probabilities.shape) != (len(tokens), vocab_size):
            raise ValueError(
                f"{len(tokens)} proposed tokens of {vocab_size} need probabilities of that shape, not "
                f"{tuple(probabilities.shape)}: another tokenizer's?"
            )
