"""From a sequence's logits to its next tokens: penalties, biases and masks, then a choice, or the judgement of a draft.

    logits -> repetition penalty -> presence, frequency -> bias -> min_tokens -> guide's mask
           -> temperature -> top-k -> top-p -> a draw, or, with a draft, project 11's verification

A draft is judged by the very distributions that its tokens would have been drawn from one by one: at each place, what
is guessed before it counts as written.
"""

from collections import OrderedDict
from collections.abc import Sequence as List
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from phase04_advanced_inference.project11_speculative_decoding.distribution import distribution, uniforms
from phase04_advanced_inference.project11_speculative_decoding.given.proposer import Proposal
from phase04_advanced_inference.project11_speculative_decoding.verification import (
    rejection_sample,
    verify_greedy,
)
from phase04_advanced_inference.project12_dynamic_batching.sequence import Sequence
from phase04_advanced_inference.project13_paged_attention.given.pattern import Pattern
from phase04_advanced_inference.project13_paged_attention.guided import Guide
from phase04_advanced_inference.project13_paged_attention.sampling_params import SamplingParams
from shared.phase01 import SamplingParams as PlainParams
from shared.phase01 import penalize_repetition

MOST_GUIDES = 64  # that are kept, of those asked for last


def process(
    logits: Float[Tensor, "vocab"],
    tokens: List[int],
    num_prompt: int,
    params: SamplingParams,
    mask: Bool[Tensor, "vocab"] | None = None,
) -> Float[Tensor, "vocab"]:
    """The logits after penalties, biases and masks; those that were given stay as they were.

    `tokens` are all before this place, of which the first `num_prompt` are the prompt's. In this order:

    1. the repetition penalty (`penalize_repetition`) on all of the tokens, the prompt's too;
    2. of the written tokens alone, c(t) times token t: minus frequency_penalty × c(t), and minus presence_penalty
       where c(t) > 0 (OpenAI's formula);
    3. plus `logit_bias`;
    4. while fewer than `min_tokens` are written, `stop_ids` become -inf; but where the mask allows nothing else, they
       stay: the guide's text is complete, and what cannot go on must be able to end;
    5. what the mask does not allow becomes -inf.
    """
    written = tokens[num_prompt:]
    if params.repetition_penalty != 1:
        used = torch.tensor(tokens, device=logits.device)
        logits = penalize_repetition(logits, used, params.repetition_penalty)
    if written and (params.presence_penalty or params.frequency_penalty):
        counts = torch.bincount(torch.tensor(written), minlength=len(logits)).to(logits)
        presence = (counts > 0).to(logits)
        logits = logits - params.frequency_penalty * counts - params.presence_penalty * presence
    if params.logit_bias:
        ids = torch.tensor(list(params.logit_bias), device=logits.device)
        biases = torch.tensor(list(params.logit_bias.values()), dtype=torch.float64).to(logits)
        logits = logits.index_add(0, ids, biases)
    if len(written) < params.min_tokens and params.stop_ids:
        ends = torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
        ends[list(params.stop_ids)] = True
        if mask is None or bool((mask & ~ends).any()):
            logits = logits.masked_fill(ends, float("-inf"))
    return logits if mask is None else logits.masked_fill(~mask, float("-inf"))


def judge(
    logits: Float[Tensor, "place vocab"],
    guessed: List[int],
    probabilities: Float[Tensor, "guess vocab"] | None,
    params: SamplingParams,
    numbers: List[float],
) -> list[int]:
    """The guesses that stay, and one token more, by logits that have been processed, of one place more than guesses.

    With temperature 0 it is project 11's `verify_greedy`, and `numbers` do not matter. Else `rejection_sample`: the
    target's distribution at each place is project 11's `distribution` of these logits, with the temperature, top-k and
    top-p of `params`, and no penalty a second time. `probabilities` are what the guesses were drawn from, None where
    nothing was drawn. Without guesses it is a draw with the one number.
    """
    if params.temperature == 0:
        return verify_greedy(logits, [], guessed)
    plain = drawing(params.temperature, params.top_k, params.top_p)
    target = torch.stack([distribution(row, [], plain) for row in logits])
    return rejection_sample(target, guessed, probabilities, numbers)


@lru_cache(maxsize=256)
def drawing(temperature: float, top_k: int, top_p: float) -> PlainParams:
    """Settings with these three alone; checked once, not once a token."""
    return PlainParams(temperature=temperature, top_k=top_k, top_p=top_p)


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """How likely a chosen token was, and which would have been the likeliest."""

    token: int
    logprob: float
    """its log-probability by the model alone: before penalties, biases, masks and temperature"""
    top: tuple[tuple[int, float], ...]
    """the likeliest tokens and their log-probabilities, the likeliest first; of equal ones the lower id first"""


def token_logprobs(logits: Float[Tensor, "vocab"], token: int, most: int) -> TokenLogprobs:
    """Of logits as the model gave them, in float64; with the `most` likeliest tokens, or all, if there are fewer."""
    logprobs = logits.double().log_softmax(dim=-1)
    best = logprobs.argsort(descending=True, stable=True)[:most].tolist()
    return TokenLogprobs(token, float(logprobs[token]), tuple((i, float(logprobs[i])) for i in best))


class Sampler:
    """Project 12's sampler, which knows all of SamplingParams: a sequence and its logits in, the next tokens out."""

    def __init__(self, pieces: List[bytes]):
        """`pieces` are the bytes of each token that the model knows, none for special ones (`token_pieces`)."""
        self.pieces = pieces
        self.proposals: dict[int, Proposal] = {}
        """by a sequence's key, where its draft comes from; not needed for a draft that was not drawn"""
        self.logprobs: dict[int, list[TokenLogprobs]] = {}
        """by a sequence's key, one for each token that was chosen, for the one that ended the text too"""
        self.guides: OrderedDict[tuple[object, ...], Guide] = OrderedDict()

    def check(self, params: SamplingParams) -> None:
        """Before a request is taken in: raises ValueError for tokens that the model does not know (`params.check`),
        and for a guide that nothing can match.
        """
        params.check(len(self.pieces))
        self.guide(params)

    def guide(self, params: SamplingParams) -> Guide | None:
        """The Guide for these choices or this regex and these stop ids, with its masks; None where there is none."""
        if params.choices is None and params.regex is None:
            return None
        key = (params.choices, params.regex, params.stop_ids)
        if key not in self.guides:
            pattern = (
                Pattern(params.regex or "") if params.choices is None else Pattern.of_choices(params.choices)
            )
            self.guides[key] = Guide(self.pieces, pattern, params.stop_ids)
        self.guides.move_to_end(key)
        if len(self.guides) > MOST_GUIDES:
            self.guides.popitem(last=False)
        return self.guides[key]

    def text(self, tokens: List[int]) -> bytes:
        """The bytes of written tokens."""
        return b"".join([self.pieces[token] for token in tokens])

    def finished(self, sequence: Sequence) -> bool:
        """Whether the guide's text is complete: then the sequence must end, with no token to say so."""
        guide = self.guide(SamplingParams.of(sequence.params))
        return guide is not None and guide.finished(self.text(sequence.written))

    def forget(self, key: int) -> None:
        """This sequence has ended: nothing is kept for it any more. A key that is not known is no mistake."""
        self.proposals.pop(key, None)
        self.logprobs.pop(key, None)

    def __call__(self, sequence: Sequence, logits: Float[Tensor, "wanted vocab"]) -> list[int]:
        """The next tokens of a sequence; none where no logits are wanted, as its prompt is not read to the end.

        logits[0] are those after the text, logits[i] after the first i tokens of `sequence.draft`, of which a step may
        have read only the first len(logits) - 1; only these are guesses. If `proposals` has one of this key, it leaves
        there, and says what they were drawn from; its tokens must begin with them, else ValueError.

        At each place the logits go in float64 through `process`, with the guesses before it as written tokens, and
        with the mask that the guide has for the text up to there; without a mask where that allows nothing, for such a
        place is never reached. Then `judge`, with as many `uniforms` of the sequence's own generator as there are
        places, whatever stays; none with temperature 0. Of what it gives, `cut` is returned.

        For each returned token `logprobs` gets a TokenLogprobs of the logits as they came, if `params.logprobs` asks
        for it, with as many likeliest ones; or if more texts are written than come back, with none of these.

        Raises ValueError for a sequence whose guide's text is complete already: it should have ended.
        """
        if not len(logits):
            return []
        params, guesses = SamplingParams.of(sequence.params), sequence.draft[: len(logits) - 1]
        if self.finished(sequence):
            raise ValueError(
                f"the guided text of sequence {sequence.key} is complete, and nothing can follow it"
            )
        logits, probabilities = logits.cpu(), self._drawn_from(sequence.key, guesses)
        processed = torch.stack([self._process(row, sequence, guesses[:i]) for i, row in enumerate(logits)])
        numbers: list[float] = []
        if params.temperature:
            assert sequence.generator is not None
            numbers = uniforms(len(logits), sequence.generator)
        chosen = self.cut(sequence, judge(processed, guesses, probabilities, params, numbers))
        if params.logprobs is not None or params.texts > params.n:
            kept = self.logprobs.setdefault(sequence.key, [])
            kept += [
                token_logprobs(row, token, params.logprobs or 0)
                for row, token in zip(logits, chosen, strict=False)
            ]
        return chosen

    def _process(self, row: Tensor, sequence: Sequence, guesses: List[int]) -> Tensor:
        params = SamplingParams.of(sequence.params)
        guide, mask = self.guide(params), None
        if guide is not None:
            mask = guide.allowed(self.text([*sequence.written, *guesses]))
        tokens = [*sequence.tokens, *guesses]
        possible = mask if mask is not None and mask.any() else None
        return process(row.double(), tokens, sequence.num_prompt, params, possible)

    def _drawn_from(self, key: int, guesses: List[int]) -> Tensor | None:
        proposal = self.proposals.pop(key, None)
        if proposal is None:
            return None
        if proposal.tokens[: len(guesses)] != list(guesses):
            raise ValueError(f"the draft of sequence {key} is {guesses}, and the proposal {proposal.tokens}")
        return None if proposal.probabilities is None else proposal.probabilities[: len(guesses)]

    def cut(self, sequence: Sequence, chosen: List[int]) -> list[int]:
        """Of the tokens that may come next, those that can be written.

        Up to one of `stop_ids`, or to where the guide's text is finished, and with it; and no more than up to
        `max_tokens`, and to the model's context: a sequence ends when it has more than `limit` tokens.
        """
        params = SamplingParams.of(sequence.params)
        guide = self.guide(params)
        room = min(params.max_tokens - len(sequence.written), sequence.limit + 1 - len(sequence.tokens))
        chosen, written = list(chosen[:room]), self.text(sequence.written)
        for i, token in enumerate(chosen):
            written += self.pieces[token]
            if token in params.stop_ids or (guide is not None and guide.finished(written)):
                return chosen[: i + 1]
        return chosen
