"""The controls of the page: what can be asked of the server beyond the conversation itself."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Control:
    """One setting of a request, as the page shows it and as the server names it."""

    name: str
    """the field of the request"""
    label: str
    kind: Literal["number", "whole", "text", "lines"]
    """a number; a whole number; a text; texts, one a line"""
    default: float | int | str | None
    """what the server takes when it is not sent; None and "" are nothing"""
    low: float = 0.0
    high: float = 0.0
    """from low to high, both allowed; for lines, the most there may be"""
    step: float = 1.0
    extra: bool = False
    """whether OpenAI's interface does not have it, and vLLM's does: the client wants those in `extra_body`"""
    info: str = ""
    start: float | int | str | None = None
    """what the page begins with, where that is not the default"""


CONTROLS = (
    Control("temperature", "Temperature", "number", 1.0, 0.0, 2.0, 0.05, start=0.6,
            info="0 always takes the likeliest token; higher is more varied."),
    Control("top_p", "Top p", "number", 1.0, 0.01, 1.0, 0.01,
            info="Only the likeliest tokens that together have this share."),
    Control("top_k", "Top k", "whole", 0, 0, 1000, 1, extra=True,
            info="Only this many likeliest tokens; 0 is all."),
    Control("max_tokens", "Longest answer, in tokens", "whole", None, 1, 8192, 1, start=200,
            info="Empty: as long as the model can."),
    Control("min_tokens", "Shortest answer, in tokens", "whole", 0, 0, 8192, 1, extra=True,
            info="It does not end before."),
    Control("repetition_penalty", "Repetition penalty", "number", 1.0, 0.5, 2.0, 0.05, extra=True,
            info="Above 1, what was written before gets unlikelier."),
    Control("presence_penalty", "Presence penalty", "number", 0.0, -2.0, 2.0, 0.1,
            info="Above 0, a token that was written once gets unlikelier."),
    Control("frequency_penalty", "Frequency penalty", "number", 0.0, -2.0, 2.0, 0.1,
            info="Above 0, a token gets unlikelier each time it is written."),
    Control("seed", "Seed", "whole", None, 0, 2**53 - 1, 1,
            info="The same seed gives the same answer. Empty: another each time."),
    Control("stop", "Stop texts, one a line", "lines", None, high=4,
            info="The answer ends before any of these. \\n is a line end."),
    Control("guided_choice", "Allowed answers, one a line", "lines", None, high=64, extra=True,
            info="The answer is one of these, and nothing else."),
    Control("guided_regex", "Answers by a regular expression", "text", None, high=500, extra=True,
            info="The whole answer is a match: [0-9]+ is a number."),
)  # fmt: skip
