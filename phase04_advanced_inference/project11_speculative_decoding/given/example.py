"""Small random models to try speculation on, made-up proposers, and a small example for `ladder trace 11`."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from phase04_advanced_inference.project11_speculative_decoding.given.proposer import Draft, Proposal
from shared.phase01 import LLM, Config, SamplingParams

TINY = Config(
    vocab_size=23, context_length=40, layers=2, heads=4, kv_heads=2, dim=24, hidden_dim=36, head_dim=6
)
SHAPES = [
    TINY,
    replace(TINY, kv_heads=4, tied_embeddings=True, rope_base=500.0),
    replace(TINY, kv_heads=1, qk_norm=True, layers=3, norm_eps=0.1),
    replace(TINY, activation="squared_relu", logit_softcap=2.0),
]
"""one with each option at work"""


def random_model(config: Config = TINY, dtype: torch.dtype = torch.float64, seed: int = 0) -> LLM:
    """A model with all weights random; the same at every call. Its likeliest tokens stand well apart.

    A deviation of 0.2 keeps the two likeliest at least 1e-6 apart, far above float64's rounding: two right ways write
    the same text. With 0.02 there would be ties.
    """
    generator = torch.Generator().manual_seed(seed)
    model = LLM(config).to(dtype).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            mean = 1.0 if parameter.ndim == 1 else 0.0
            parameter.copy_(mean + 0.2 * torch.randn(parameter.shape, generator=generator))
    return model


def resembling(model: LLM, noise: float = 0.05, seed: int = 1) -> LLM:
    """A model much like this one, so that it guesses some of its tokens, and not all."""
    generator = torch.Generator().manual_seed(seed)
    other = LLM(model.config).to(model.embedding.weight.dtype).eval()
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(noise * torch.randn(parameter.shape, generator=generator))
    return other


def random_prompts(
    count: int, seed: int = 0, longest: int = 12, vocab_size: int = TINY.vocab_size
) -> list[list[int]]:
    """Prompts of 1 to `longest` random tokens."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (count,), generator=generator).tolist()
    return [torch.randint(vocab_size, (length,), generator=generator).tolist() for length in lengths]


def random_distribution(
    vocab_size: int, generator: torch.Generator, zeros: float = 0.3
) -> Float[Tensor, "vocab"]:
    """A random distribution, float64, in which about this share of the tokens is impossible."""
    weights = torch.rand(vocab_size, generator=generator, dtype=torch.float64)
    weights = weights * (torch.rand(vocab_size, generator=generator) >= zeros)
    if not weights.any():
        weights[int(torch.randint(vocab_size, (1,), generator=generator))] = 1.0
    return weights / weights.sum()


class Fixed:
    """A Proposer that proposes the same tokens every time, as many as are wanted, and keeps what it was asked."""

    def __init__(self, tokens: Sequence[int]):
        self.tokens = list(tokens)
        self.asked: list[list[Draft]] = []
        self.forgotten: list[int] = []

    def propose(self, drafts: Sequence[Draft]) -> list[Proposal]:
        """The tokens, with no probabilities."""
        self.asked.append(list(drafts))
        return [Proposal(self.tokens[: draft.count]) for draft in drafts]

    def forget(self, key: int) -> None:
        """Noted."""
        self.forgotten.append(key)


class Oracle(Fixed):
    """A Proposer that knows each text, by its key; every `wrong`-th guess of a proposal is another token."""

    def __init__(self, texts: Sequence[Sequence[int]], vocab_size: int, wrong: int = 0):
        super().__init__([])
        self.texts, self.vocab_size, self.wrong = [list(text) for text in texts], vocab_size, wrong

    def propose(self, drafts: Sequence[Draft]) -> list[Proposal]:
        """What comes next, as far as the whole text is known."""
        self.asked.append(list(drafts))
        proposals = []
        for draft in drafts:
            begin = len(draft.tokens)
            tokens = self.texts[draft.key][begin : begin + draft.count]
            if self.wrong:
                tokens[self.wrong - 1 :: self.wrong] = [
                    (token + 1) % self.vocab_size for token in tokens[self.wrong - 1 :: self.wrong]
                ]
            proposals.append(Proposal(tokens))
        return proposals


def trace_example() -> list[list[int]]:
    """Write six tokens after each of two prompts with a draft model, then with n-grams, then with heads, drawn."""
    from phase04_advanced_inference.project11_speculative_decoding.adaptive import AdaptiveLength
    from phase04_advanced_inference.project11_speculative_decoding.draft_model import DraftProposer
    from phase04_advanced_inference.project11_speculative_decoding.expected import acceptance_rate, overlap
    from phase04_advanced_inference.project11_speculative_decoding.grow import grow
    from phase04_advanced_inference.project11_speculative_decoding.mtp import (
        MTPHeads,
        MTPProposer,
        mtp_losses,
    )
    from phase04_advanced_inference.project11_speculative_decoding.ngram import NGramProposer
    from phase04_advanced_inference.project11_speculative_decoding.speculation import speculate

    config, prompts = replace(TINY, layers=1), [[3, 1, 4, 1, 5], [9, 2]]
    model = random_model(config, torch.float32)
    drawn = SamplingParams(max_tokens=6, temperature=0.8, top_k=8, seed=1)
    proposer = DraftProposer(resembling(model), rows=2)
    greedy = SamplingParams(max_tokens=6, temperature=0)
    passes = list(speculate(model, prompts, greedy, proposer, AdaptiveLength(0.1)))
    acceptance_rate((one.guessed, one.accepted) for one in passes)
    list(speculate(model, prompts[:1], drawn, proposer, 2))
    list(speculate(model, prompts[:1], drawn, NGramProposer(), 2))
    heads = MTPHeads(config.dim, 2)
    hidden = model.hidden(torch.tensor([prompts[0]]))
    mtp_losses(heads, model, hidden, torch.tensor([[*prompts[0][1:], 9]]))
    list(speculate(model, prompts[:1], drawn, MTPProposer(model, heads), 2))
    overlap(torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75]))
    grow(model, 36, 6, 2, 48)
    return [[token for one in passes if one.index == i for token in one.tokens] for i in range(2)]
