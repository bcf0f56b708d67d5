"""What comes out of an LLMEngine: pieces of text while they are written, and results when they are done."""

from dataclasses import dataclass, field

from phase04_advanced_inference.project12_dynamic_batching.sequence import SequenceStatus
from phase04_advanced_inference.project13_paged_attention.sampler import TokenLogprobs

REASONS = {
    SequenceStatus.FINISHED_STOPPED: "stop",
    SequenceStatus.FINISHED_LENGTH: "length",
    SequenceStatus.FINISHED_ABORTED: "aborted",
}
"""why a text ended, in the words of the field; "error" where its step failed"""


@dataclass(frozen=True)
class Delta:
    """What a step brought a text."""

    key: int
    """the request's"""
    index: int
    """which of its texts"""
    text: str
    """what has become certain of it, which may be nothing"""
    tokens: list[int]
    """those that were written"""
    reason: str | None = None
    """why it has ended; None while it goes on"""
    error: Exception | None = None


@dataclass
class Completion:
    """A text that has ended, or is being written."""

    index: int
    """which of the request's texts, in the order of their seeds"""
    text: str = ""
    tokens: list[int] = field(default_factory=list)
    """all that were written, also those of a stop text that was cut off"""
    reason: str | None = None
    """"stop", "length", "aborted" or "error"; None while it is being written"""
    logprobs: list[TokenLogprobs] = field(default_factory=list)
    """where they were asked for: of each token, and of the one that ended the text"""
    error: Exception | None = None

    @property
    def cumulative_logprob(self) -> float:
        """The sum of the `logprobs`: how likely all of the text is."""
        return sum(one.logprob for one in self.logprobs)


@dataclass
class Result:
    """A request that has ended."""

    key: int
    prompt: list[int]
    """its tokens"""
    completions: list[Completion]
    """`n` texts, the likeliest first where more were written, else in the order of their seeds"""
    cached: int = 0
    """how many tokens of the prompt did not have to be computed when it came in"""

    @property
    def text(self) -> str:
        """The first text."""
        return self.completions[0].text
