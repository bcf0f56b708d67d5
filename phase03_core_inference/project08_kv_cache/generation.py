"""Writing with the cache: the prompt is read once (prefill), and then each step reads one new token a text (decode)."""

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from phase03_core_inference.project08_kv_cache.kv_cache import KVCache
from shared.phase01 import LLM, SamplingParams, choose

Step = Callable[[KVCache, Sequence[Sequence[int]]], Tensor]
"""what reads new tokens: the cache and each row's new tokens in, logits of `step` out"""


@torch.no_grad()  # not inference_mode: buffers that grow in it could not be written to outside
def step(model: LLM, cache: KVCache, new: Sequence[Sequence[int]]) -> Float[Tensor, "row vocab"]:
    """Read each row's new tokens; the logits of the token after each row's last one.

    `new` has a list for each row of the cache, which may be empty: such a row is not computed, and there are no logits
    for it. All tokens go through the model at once, end to end in one row (see KVCache), and logits are worked out at
    the rows' last tokens only. Raises ValueError as `KVCache.plan` does.
    """
    positions = cache.plan([len(tokens) for tokens in new])
    tokens = torch.tensor([[token for row in new for token in row]], device=cache.device)  # (1, total)
    hidden = model.hidden(tokens, positions, cache)  # (1, total, dim)
    ends = torch.tensor([len(row) for row in new if row]).cumsum(0) - 1
    return model.logits(hidden[:, ends.to(cache.device)])[0]


def check_prompts(prompts: Sequence[Sequence[int]], model: LLM, limit: int | None) -> None:
    """Raises ValueError, naming the prompt by its number from 1, for one that the model cannot start from."""
    if not prompts:
        raise ValueError("there is no prompt: give at least one to go on from")
    vocab_size = model.config.vocab_size
    for number, prompt in enumerate(prompts, start=1):
        if not prompt:
            raise ValueError(f"prompt {number} is empty: the model needs at least one token to go on from")
        if limit is not None and len(prompt) > limit:
            raise ValueError(f"prompt {number} has {len(prompt)} tokens; the model reads at most {limit}")
        if odd := [token for token in prompt if not 0 <= token < vocab_size]:
            raise ValueError(
                f"prompt {number} has the id {odd[0]}; the model knows those from 0 to {vocab_size - 1}"
            )


def stream_tokens(
    model: LLM,
    prompts: Sequence[Sequence[int]],
    params: SamplingParams,
    cache: KVCache | None = None,
    decode: Step | None = None,
    ended: Collection[int] = (),
) -> Iterator[tuple[int, int]]:
    """Go on from every prompt; yields (the prompt's index from 0, a new token) as soon as it is chosen.

    First all prompts are read, each by itself by `step`, for that gives the same numbers in company as alone; then each
    step reads the last token of every running text, by `decode`, or by `step` with the model where that is None. In
    each step the running ones come in their order.

    Tokens are chosen by project 1's `choose`, with a generator of its own for each prompt, seeded with `params.seed`,
    and all tokens of the text as `used`. A text ends after `params.max_tokens`, at a token of `params.stop_ids`, which
    is not yielded, where the cache is full (after a token that can be chosen, but not read), and where the caller has
    put its index into `ended`, which is looked at before each decoding step. Stop texts are not looked for: tokens have
    no text here. One that has ended is not computed any more.

    Without a `cache` it makes a KVCache for the model's dtype and device; one that is given must be empty, which is not
    checked, and have a row for each prompt. The model is put into evaluation mode. `check_prompts` comes first, with
    the cache's `limit`; raises ValueError as it does, and, naming both numbers, for a cache with another number of rows
    than prompts.
    """
    weight = model.embedding.weight
    if cache is None:
        cache = KVCache(model.config, max(1, len(prompts)), dtype=weight.dtype, device=weight.device)
    check_prompts(prompts, model, cache.limit)
    decode = decode or partial(step, model)
    model.eval()
    texts = [list(prompt) for prompt in prompts]
    generators = [torch.Generator().manual_seed(params.seed) for _ in prompts]
    running = list(range(len(prompts)))
    parts = [
        step(model, cache, [prompt if row == i else [] for row in running])
        for i, prompt in enumerate(prompts)
    ]
    logits = torch.cat(parts)
    for count in itertools.count(1):
        for i, row_logits in zip(list(running), logits.cpu(), strict=True):
            token = choose(row_logits, torch.tensor(texts[i]), params, generators[i])
            if token in params.stop_ids:
                running.remove(i)
                continue
            texts[i].append(token)
            yield i, token
        full = [i for i in running if cache.limit is not None and len(texts[i]) > cache.limit]
        running = [i for i in running if i not in full and i not in ended]
        if not running or count == params.max_tokens:
            return
        logits = decode(cache, [[texts[i][-1]] if i in running else [] for i in range(len(texts))])


def generate_tokens(
    model: LLM,
    prompts: Sequence[Sequence[int]],
    params: SamplingParams,
    cache: KVCache | None = None,
    decode: Step | None = None,
) -> list[list[int]]:
    """What `stream_tokens` yields for each prompt, whole and without the prompt."""
    texts: list[list[int]] = [[] for _ in prompts]
    for i, token in stream_tokens(model, prompts, params, cache, decode):
        texts[i].append(token)
    return texts
