"""Reading prompts with a prefix cache: what another text has computed already is copied, and only the rest is read.

    texts = PromptCache(model, num_blocks=256)
    first = texts.prefill(cache, 0, tokens)        # logits after the prompt; its full blocks are kept
    ...                                            # the answer is written as in project 8: the row holds it
    texts.keep(cache, 0, tokens + answer, known=first.keys)      # for the next turn of the conversation
    cache.rewind(0, 0)
    again = texts.prefill(cache, 0, tokens + answer + question)  # all but the question is a hit

The blocks are copied into the row and out of it. (Project 13 attends to blocks where they lie.)
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from phase04_advanced_inference.project10_prompt_caching.block_hash import BlockKey, block_keys
from phase04_advanced_inference.project10_prompt_caching.block_pool import BlockPool
from phase04_advanced_inference.project10_prompt_caching.block_store import BlockStore
from phase04_advanced_inference.project10_prompt_caching.hit_rate import HitRate
from shared.phase01 import LLM
from shared.phase03 import KVCache, step

Read = Callable[[KVCache, Sequence[Sequence[int]]], Tensor]
"""what computes new tokens: the cache and each row's new tokens in, logits (row, vocab) out, as project 8's `step`"""


class Prefill(NamedTuple):
    """What reading a prompt gives."""

    logits: Float[Tensor, "vocab"]
    """of the token after the prompt"""
    cached: int
    """how many of its tokens were not computed"""
    keys: list[BlockKey]
    """of its full blocks, for `keep`"""


class PromptCache:
    """A pool of blocks, the store of their keys and values, and how texts get into them and out again."""

    def __init__(
        self,
        model: LLM,
        num_blocks: int,
        block_size: int = 16,
        chunk: int | None = None,
        read: Read | None = None,
    ):
        """Nothing cached. Prompts are read at most `chunk` tokens at a time, or at once, by `read` or project 8's step.

        With 0 blocks it works and keeps nothing. It has the model's dtype and device, and serves this model alone: who
        changes its weights makes a new one, and who swaps adapters gives each a salt. Raises ValueError for numbers out
        of range, naming them.
        """
        if chunk is not None and chunk < 1:
            raise ValueError(f"a chunk has 1 token or more, not {chunk}")
        weight = model.embedding.weight
        self.model, self.chunk = model, chunk
        self.read: Read = read or partial(step, model)
        self.pool = BlockPool(num_blocks, block_size)
        self.store = BlockStore(model.config, num_blocks, block_size, weight.dtype, weight.device)
        self.rate = HitRate()

    def load(self, cache: KVCache, row: int, keys: Sequence[BlockKey]) -> int:
        """Copy the longest cached prefix of a text into a row; returns how many tokens the row holds then.

        `keys` are those of the text's full blocks. What the row held is forgotten. The blocks are held while they are
        copied, also where that raises, and count as released just now; without a hit the row is empty.
        """
        blocks = self.pool.match(keys)
        self.pool.take(blocks)
        try:
            self.store.read(cache, row, blocks)
        finally:
            self.pool.release(blocks)
        return cache.lengths[row]

    def keep(
        self,
        cache: KVCache,
        row: int,
        tokens: Sequence[int],
        salt: str = "",
        known: Sequence[BlockKey] = (),
    ) -> list[BlockKey]:
        """Keep the full blocks of a row's text, as far as it is computed; returns the keys of all, kept or not.

        `tokens` are the row's text from its beginning. Where they are more than the row holds, as the token that was
        chosen last, which has no keys and values yet, only as many as it holds count; where the row holds more, only
        `tokens` do. `known` are keys of the text's first blocks, which are not hashed again.

        What is cached already, by whoever, stays as it is, and is not written a second time: so a twin, a row with the
        same beginning that was computed in the same step, costs nothing. The blocks after it are allocated, written,
        all at once, and only then published, from the first to the last. Where the pool has room for some only, the
        first ones are kept: a block without those before it could not be hit. All of the text's blocks are held
        meanwhile, so that none of them is evicted for another, and released at the end, also where writing raises.
        """
        size = self.pool.block_size
        held = min(len(tokens), cache.lengths[row])
        keys = block_keys(tokens[:held], size, salt, known)
        blocks = self.pool.match(keys)
        self.pool.take(blocks)
        cached = len(blocks)
        new = [self.pool.allocate() for _ in range(min(len(keys) - cached, self.pool.num_free))]
        try:
            self.store.write(cache, row, cached * size, new)
            for block, key in zip(new, keys[cached:], strict=False):
                self.pool.publish(block, key)
        finally:
            self.pool.release(blocks + new)
        return keys

    def prefill(self, cache: KVCache, row: int, tokens: Sequence[int], salt: str = "") -> Prefill:
        """Read a prompt into an empty row: what is cached is copied, the rest computed; the row then holds all of it.

        Computed is what follows the longest cached prefix, in chunks of `self.chunk` tokens, each by one call of
        `self.read`, to which the other rows bring nothing. After each chunk, `keep` keeps the blocks that are full, so
        that a prompt that is given up in the middle need not be computed again. A prompt that is cached to its last
        token still computes that one, exactly one: logits are not kept. The prompt's blocks are hashed once. At the end
        `self.rate` records the prompt's tokens, those not computed, and the blocks evicted meanwhile.

        `check` comes first, and raises ValueError as it says. Where computing raises, the row is empty again, and what
        was kept stays kept.
        """
        self.check(cache, row, tokens)
        evictions = self.pool.evictions
        keys = block_keys(tokens, self.pool.block_size, salt)
        cached = min(self.load(cache, row, keys), len(tokens) - 1)
        cache.rewind(row, cached)
        chunk = self.chunk or len(tokens)
        logits = torch.empty(0)
        try:
            for start in range(cached, len(tokens), chunk):
                new: list[Sequence[int]] = [[]] * cache.rows
                new[row] = tokens[start : start + chunk]
                logits = self.read(cache, new)
                self.keep(cache, row, tokens, salt, keys)
        except BaseException:
            cache.rewind(row, 0)
            raise
        self.rate.record(len(tokens), cached, self.pool.evictions - evictions)
        return Prefill(logits[0], cached, keys)

    def check(self, cache: KVCache, row: int, tokens: Sequence[int]) -> None:
        """Raises ValueError for a prompt that cannot be read into this row, naming what came and what is allowed.

        That is: another model's cache, or one with a window, whose slots are no text's beginning; a row that there is
        not, or that holds something; a prompt that is empty or too long, or has an id that the model does not know.
        """
        config = self.model.config
        mine = (config.layers, config.kv_heads, config.head_width, self.store.dtype)
        theirs = (cache.config.layers, cache.config.kv_heads, cache.config.head_width, cache.dtype)
        if mine != theirs:
            raise ValueError(
                f"the model has layers, key heads, head width and dtype {mine}, and the cache {theirs}"
            )
        if cache.window is not None:
            raise ValueError(
                f"a cache with a window, here of {cache.window}, forgets the beginning, which is cached"
            )
        if not 0 <= row < cache.rows:
            raise ValueError(f"there is no row {row}; the cache has {cache.rows}, counted from 0")
        if cache.lengths[row]:
            raise ValueError(
                f"row {row} holds {cache.lengths[row]} tokens; a prompt is read into an empty row"
            )
        if not tokens:
            raise ValueError("the prompt is empty: the model needs at least one token to go on from")
        if len(tokens) > config.context_length:
            raise ValueError(
                f"the prompt has {len(tokens)} tokens; the model reads at most {config.context_length}"
            )
        if odd := [token for token in tokens if not 0 <= token < config.vocab_size]:
            raise ValueError(
                f"the prompt has the id {odd[0]}; the model knows those from 0 to {config.vocab_size - 1}"
            )
