"""The loop: guess, read text and guesses in one pass, keep what may stay, rewind the rest.

There is no prefill and no decoding. Of each text the target has read some tokens; a pass reads those that are pending,
the guesses after them, and gives logits after the last pending token and after each guess. In the first pass all of the
prompt is pending, later the one token that was written last.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from phase04_advanced_inference.project11_speculative_decoding.adaptive import AdaptiveLength
from phase04_advanced_inference.project11_speculative_decoding.given.checks import check_prompts
from phase04_advanced_inference.project11_speculative_decoding.given.proposer import (
    Draft,
    Proposal,
    Proposer,
    check_proposals,
)
from phase04_advanced_inference.project11_speculative_decoding.verification import verify
from shared.phase01 import LLM, SamplingParams
from shared.phase03 import KVCache


@dataclass(frozen=True, slots=True)
class Reading:
    """What a pass gives at the places that were asked for, row after row, end to end."""

    logits: Float[Tensor, "place vocab"]
    hidden: Float[Tensor, "place dim"] | None
    """the residual stream after the last block; None where a reader does not give it"""


Read = Callable[[KVCache, Sequence[Sequence[int]], Sequence[int]], Reading]
"""what reads new tokens: the cache, each row's new tokens, and after how many of them, the last ones, logits come"""


@dataclass(frozen=True, slots=True)
class Written:
    """What one pass has written."""

    index: int
    """of which prompt, from 0"""
    tokens: list[int]
    """the new tokens, without what comes after the end of the text; none where it ends at once"""
    guessed: int
    """how many tokens had been proposed"""
    accepted: int
    """how many of these, the first ones, the target would have written too"""


@torch.no_grad()
def read_places(model: LLM, cache: KVCache, new: Sequence[Sequence[int]], places: Sequence[int]) -> Reading:
    """Read each row's new tokens in one pass; logits and stream at the last `places[row]` of them.

    `new` has a list for each row of the cache, which may be empty, and `places` a number, at most as many. All tokens
    go through the model end to end in one row, as in project 8's `step`. Logits are worked out at the asked places
    only: a prompt's others would cost more than the rest of a small model. Raises ValueError as `KVCache.plan` does.
    """
    positions = cache.plan([len(tokens) for tokens in new])
    tokens = torch.tensor([[token for row in new for token in row]], device=cache.device)  # (1, total)
    hidden = model.hidden(tokens, positions, cache)[0]  # (total, dim)
    ends = torch.tensor([len(row) for row in new]).cumsum(0).tolist()
    asked = [place for end, count in zip(ends, places, strict=True) for place in range(end - count, end)]
    hidden = hidden[torch.tensor(asked, device=cache.device)]  # (place, dim)
    return Reading(model.logits(hidden[None])[0], hidden)


@dataclass(slots=True)
class Text:
    """A text that is being written."""

    tokens: list[int]
    """prompt and all"""
    end: int
    """how many tokens it may have"""
    generator: torch.Generator
    hidden: Float[Tensor, "dim"] | None = None
    """the target's stream at the place that chose the last token"""


def ask(key: int, text: Text, wanted: int, params: SamplingParams, cache: KVCache) -> Draft:
    """The Draft for a text: at most `wanted` guesses, and fewer near its end, down to 0.

    A pass with k guesses may write k + 1 tokens, and the text may have `text.end`. And the cache must hold, if it has a
    limit, all of the text and the guesses, since the pass reads them. The Draft has a copy of the tokens.
    """
    most = text.end - len(text.tokens) - 1
    if cache.limit is not None:
        most = min(most, cache.limit - len(text.tokens))
    return Draft(key, list(text.tokens), min(wanted, most), params, text.generator, text.hidden)


def run_pass(
    texts: Mapping[int, Text],
    proposals: Mapping[int, Proposal],
    params: SamplingParams,
    cache: KVCache,
    read: Read,
) -> list[Written]:
    """One pass over the pending tokens and the guesses of all texts, and what it writes; by row of the cache.

    Pending are the tokens of a text beyond those that its row holds. `read` gets them with the guesses behind them, an
    empty list for the rows of other texts, and asks for logits after the last pending token and after each guess.
    `verify` says which tokens are written. Then the text has them, up to the first of `params.stop_ids`, without it;
    `hidden` is the stream at the place that chose the last token that verify gave (None where the reading has none);
    and the row is rewound to all of the text but its last token, which is pending next.
    """
    new: list[list[int]] = [[] for _ in range(cache.rows)]
    places = [0] * cache.rows
    for row, text in texts.items():
        new[row] = text.tokens[cache.lengths[row] :] + proposals[row].tokens
        places[row] = len(proposals[row].tokens) + 1
    reading = read(cache, new, places)
    begins = [sum(places[:row]) for row in range(cache.rows)]
    written = []
    for row, text in texts.items():
        logits = reading.logits[begins[row] : begins[row] + places[row]]
        tokens = verify(logits, text.tokens, proposals[row], params, text.generator)
        accepted = len(tokens) - 1
        text.hidden = None if reading.hidden is None else reading.hidden[begins[row] + accepted]
        stop = next((at for at, token in enumerate(tokens) if token in params.stop_ids), len(tokens))
        text.tokens += tokens[:stop]
        cache.rewind(row, len(text.tokens) - 1)
        written.append(Written(row, tokens[:stop], places[row] - 1, accepted))
    return written


def speculate(
    model: LLM,
    prompts: Sequence[Sequence[int]],
    params: SamplingParams,
    proposer: Proposer,
    count: int | AdaptiveLength = 4,
    cache: KVCache | None = None,
    read: Read | None = None,
) -> Iterator[Written]:
    """Go on from every prompt, several tokens a pass; yields what a pass has written of each running text, in order.

    A round, for all running texts: the proposer is asked once, with a Draft for each (`ask`), its key the prompt's
    index and row. Then one pass (`run_pass`) with `read`, or `read_places` with the model.

    `count` is how many guesses are wanted, or an AdaptiveLength, which is asked for each text's `length` before a
    round, told the outcome (`update`) after it, and told to `forget` at the end.

    A text ends, as in project 8's `stream_tokens`, after `params.max_tokens`, at a token of `params.stop_ids`, which is
    not given, nor is what the pass has written after it; and where it is longer than the cache's `limit`: a last token
    can be chosen, but not read. Then the proposer is told to `forget` it, and it is not computed any more. Greedy, the
    texts are those of project 8. Each text has a generator of its own, seeded with `params.seed`, from which first its
    guesses and then `verify` draw.

    Without a `cache` it makes a KVCache with a row for each prompt, for the model's dtype and device; one that is given
    must be empty. The model is put into evaluation mode. Before any work it raises ValueError for a prompt that the
    model cannot start from, as `check_prompts` says, for a cache with another number of rows than prompts, naming both,
    and for a count below 0, naming it; later for a proposal that is none (`check_proposals`).
    """
    weight = model.embedding.weight
    if cache is None:
        cache = KVCache(model.config, max(1, len(prompts)), dtype=weight.dtype, device=weight.device)
    check_prompts(prompts, model.config.vocab_size, cache, count if isinstance(count, int) else 0)
    read = read or partial(read_places, model.eval())
    texts = {
        i: Text(list(prompt), len(prompt) + params.max_tokens, torch.Generator().manual_seed(params.seed))
        for i, prompt in enumerate(prompts)
    }
    while texts:
        drafts = [
            ask(i, text, count if isinstance(count, int) else count.length(i), params, cache)
            for i, text in texts.items()
        ]
        proposals = proposer.propose(drafts)
        check_proposals(drafts, proposals, model.config.vocab_size)
        for one in run_pass(texts, dict(zip(texts, proposals, strict=True)), params, cache, read):
            text = texts[one.index]
            if isinstance(count, AdaptiveLength):
                count.update(one.index, one.guessed, one.accepted)
            stopped = len(one.tokens) <= one.accepted
            full = cache.limit is not None and len(text.tokens) > cache.limit
            if stopped or full or len(text.tokens) == text.end:
                del texts[one.index]
                proposer.forget(one.index)
                if isinstance(count, AdaptiveLength):
                    count.forget(one.index)
            yield one
