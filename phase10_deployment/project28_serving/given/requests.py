"""What a request for texts comes to, once its body has been read."""

from dataclasses import dataclass, field, replace

from phase10_deployment.project28_serving.given.wire import Ask
from shared.phase04 import SamplingParams


@dataclass(frozen=True)
class Request:
    """A request for texts, in tokens and in the engine's own settings."""

    chat: bool
    """whether its answer is a message, or else a plain text"""
    model: str
    """the name it asked for"""
    adapter: str
    """the LoRA adapter of that name, "" where it is the base"""
    prompts: list[list[int]]
    """in tokens; a chat has one"""
    params: SamplingParams
    stream: bool = False
    include_usage: bool = False
    """whether a stream ends with the counts"""
    echo: bool = False
    """whether a completion begins with its prompt"""
    logprobs: int | None = None
    """with how many likeliest tokens log-probabilities are wanted; None: not at all"""
    echoes: list[str] = field(default_factory=list)
    """with `echo`, the prompts as texts"""
    generate: bool = True
    """False: nothing is to be written, the prompt alone is echoed"""
    token_ids: bool = False
    """whether the answer has tokens beside the texts"""
    seeded: bool = True
    """whether it named a seed; if not, its prompts draw from different ones"""
    lead: str = ""
    """what is taken off the beginning of each text, since it is the template's"""

    @property
    def tokens(self) -> int:
        """The most tokens that it can cost: those of its prompts, and all that may be written."""
        written = self.params.max_tokens * self.params.texts if self.generate else 0
        return sum(len(prompt) + written for prompt in self.prompts)

    @property
    def texts(self) -> int:
        """How many texts come back."""
        return len(self.prompts) * (self.params.n if self.generate else 1)

    def asks(self, salt: str = "") -> list[Ask]:
        """What the engine is asked."""
        top = self.logprobs if self.echo else None
        found = []
        for number, prompt in enumerate(self.prompts):
            shift = 0 if self.seeded else number * self.params.texts
            params = replace(self.params, seed=self.params.seed + shift) if shift else self.params
            found.append(Ask(prompt, params, self.adapter, salt, top, self.generate))
        return found
