"""Whether a model can go on from a prompt, in the words of project 12's engine."""

from collections.abc import Sequence

from phase04_advanced_inference.project12_dynamic_batching.given.refusals import (
    EmptyPromptError,
    PromptTooLongError,
    UnknownTokenError,
)
from shared.phase01 import Config


def check_prompt(tokens: Sequence[int], config: Config) -> None:
    """Raises EmptyPromptError, PromptTooLongError, UnknownTokenError, as Engine's `add` does."""
    if not tokens:
        raise EmptyPromptError("the prompt is empty: the model needs at least one token to go on from")
    if len(tokens) > config.context_length:
        raise PromptTooLongError(
            f"the prompt has {len(tokens)} tokens, and the model reads at most {config.context_length}"
        )
    for token in tokens:
        if not 0 <= token < config.vocab_size:
            raise UnknownTokenError(f"the model knows the tokens 0 to {config.vocab_size - 1}, not {token}")
