"""What `speculate` looks at before any work."""

from collections.abc import Sequence

from shared.phase03 import KVCache


def check_prompts(prompts: Sequence[Sequence[int]], vocab_size: int, cache: KVCache, count: int) -> None:
    """Raises ValueError for prompts that the model cannot start from, naming each by its number from 1.

    No prompt at all; an empty one; one that is longer than the cache's limit (naming both lengths); one with an id that
    the model does not know (naming it). So it does for a cache with another number of rows than prompts, naming both,
    and for a count of guesses below 0, naming it.
    """
    if not prompts:
        raise ValueError("there is no prompt: give at least one to go on from")
    for number, prompt in enumerate(prompts, start=1):
        if not prompt:
            raise ValueError(f"prompt {number} is empty: the model needs at least one token to go on from")
        if cache.limit is not None and len(prompt) > cache.limit:
            raise ValueError(
                f"prompt {number} has {len(prompt)} tokens; the model reads at most {cache.limit}"
            )
        if odd := [token for token in prompt if not 0 <= token < vocab_size]:
            raise ValueError(
                f"prompt {number} has the id {odd[0]}; the model knows those from 0 to {vocab_size - 1}"
            )
    if cache.rows != len(prompts):
        raise ValueError(f"the cache has {cache.rows} rows for {len(prompts)} prompts")
    if count < 0:
        raise ValueError(f"the proposer can be asked for 0 guesses or more, not {count}")
