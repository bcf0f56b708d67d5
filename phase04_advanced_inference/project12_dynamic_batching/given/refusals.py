"""Why a request is refused before anything is done for it: a kind of ValueError for each reason."""

from collections.abc import Container

from phase04_advanced_inference.project12_dynamic_batching.sequence import Sequence


class RefusedError(ValueError):
    """A request that is not taken in; nothing else notices."""


class EmptyPromptError(RefusedError):
    """There is no token to go on from."""


class UnknownTokenError(RefusedError):
    """The model does not know a token of the prompt."""


class PromptTooLongError(RefusedError):
    """The prompt is longer than what the model can read."""


class DuplicateKeyError(RefusedError):
    """A request of this key is there and has not ended."""


class QueueFullError(RefusedError):
    """As many requests wait as may: come again later."""


class NeverFitsError(RefusedError):
    """Even alone, the request could outgrow the memory."""


class UnknownPriorityError(RefusedError):
    """There is no such priority."""


def check_key(sequence: Sequence, known: Container[int]) -> None:
    """Raises DuplicateKeyError, naming the key, where it is one of the `known`."""
    if sequence.key in known:
        raise DuplicateKeyError(f"a request with the key {sequence.key} is there already and has not ended")


def check_capacity(sequence: Sequence, capacity: int) -> None:
    """Raises NeverFitsError, naming both numbers, where the sequence may need more room than there ever is."""
    if sequence.longest > capacity:
        raise NeverFitsError(
            f"the request may need room for {sequence.longest} tokens, and memory has room for {capacity} of one text: "
            "ask for fewer tokens"
        )
