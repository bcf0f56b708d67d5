"""What a request may ask for beyond project 1's settings: other penalties, biases, several texts, a guide."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from phase04_advanced_inference.project13_paged_attention.given.pattern import Pattern
from shared.phase01 import SamplingParams as PlainParams

MOST_TEXTS, MOST_LOGPROBS = 128, 20
WHOLE = ("max_tokens", "top_k", "seed", "min_tokens", "n")
NUMBERS = ("temperature", "top_p", "repetition_penalty", "presence_penalty", "frequency_penalty")


@dataclass(frozen=True)
class SamplingParams(PlainParams):
    """How to choose the next token, how many texts to write, and when to end. Names are as in vLLM."""

    presence_penalty: float = 0.0
    """is taken from the logit of each token that was written; from -2 to 2"""
    frequency_penalty: float = 0.0
    """is taken from the logit of each token as often as it was written; from -2 to 2"""
    logit_bias: Mapping[int, float] = field(default_factory=dict, hash=False)
    """is added to the logits of these tokens; from -100 (as good as never) to 100 (as good as always)"""
    min_tokens: int = 0
    """no token of `stop_ids` and no stop text ends it before it has so many tokens"""
    include_stop: bool = False
    """whether the text has the stop text that ended it"""
    logprobs: int | None = None
    """with each token, its log-probability and those of so many likeliest ones; None is none of it"""
    n: int = 1
    """how many texts come back"""
    best_of: int | None = None
    """how many texts are written, of which the n likeliest come back; None is n"""
    choices: tuple[str, ...] | None = None
    """the text is one of these"""
    regex: str | None = None
    """the text is a match of this regular expression, from its first to its last character"""

    def __post_init__(self):
        """Raises ValueError for a setting of the wrong type or out of range, naming the setting, what came, and what
        is allowed.

        - Whole numbers are int, never bool; the names are in WHOLE. Those in NUMBERS are int or float, and not NaN.
        - `stop` and `choices` are a tuple or a list of texts, each of at least one character; `stop_ids` of whole
          numbers. One text alone is refused: it would be taken for a list of its characters. A list becomes a tuple.
        - `presence_penalty` and `frequency_penalty` are from -2 to 2. `logit_bias` is a mapping from ids (0 or more)
          to numbers from -100 to 100, of which a copy is kept: it may not change under way.
        - `min_tokens` is from 0 to `max_tokens`; `logprobs` None, or from 0 to MOST_LOGPROBS; `n` from 1 to MOST_TEXTS;
          `best_of` None, or from `n` to MOST_TEXTS; `include_stop` True or False.
        - `choices` has at least one text. `regex` is a text that compiles (`Pattern`). Only one of the two may be set.
        - All others are project 1's, and are checked there.
        """
        for name in WHOLE:
            _require(_whole(getattr(self, name)), name, getattr(self, name), "a whole number")
        for name in NUMBERS:
            _require(_number(getattr(self, name)), name, getattr(self, name), "a number")
        self._make_tuples()
        super().__post_init__()
        for name in ("presence_penalty", "frequency_penalty"):
            _require(-2 <= getattr(self, name) <= 2, name, getattr(self, name), "from -2 to 2")
        self._check_bias()
        self._check_counts()
        self._check_guide()

    @classmethod
    def of(cls, params: PlainParams) -> "SamplingParams":
        """These settings; project 1's have nothing of what is new."""
        return params if isinstance(params, cls) else cls(**vars(params))

    @property
    def texts(self) -> int:
        """How many texts are written."""
        return self.n if self.best_of is None else self.best_of

    def check(self, vocab_size: int) -> None:
        """Raises ValueError, naming the setting, the id and vocab_size - 1, for a token that the model does not know.

        Looked at are the ids of `logit_bias` and of `stop_ids`.
        """
        for name, ids in (("logit_bias", self.logit_bias), ("stop_ids", self.stop_ids)):
            if unknown := [token for token in ids if token >= vocab_size]:
                raise ValueError(
                    f"{name} names the token {unknown[0]}, and the model knows those from 0 to {vocab_size - 1}"
                )

    def _make_tuples(self) -> None:
        kinds = {"stop": (str, "texts"), "stop_ids": (int, "whole numbers"), "choices": (str, "texts")}
        for name, (kind, what) in kinds.items():
            value = getattr(self, name)
            if value is None and name == "choices":
                continue
            fine = isinstance(value, tuple | list) and all(
                isinstance(one, kind) and not isinstance(one, bool) for one in value
            )
            _require(fine, name, value, f"a tuple or a list of {what}")
            object.__setattr__(self, name, tuple(value or ()))  # frozen for all others

    def _check_bias(self) -> None:
        _require(
            isinstance(self.logit_bias, Mapping),
            "logit_bias",
            self.logit_bias,
            "a mapping from ids to numbers",
        )
        object.__setattr__(self, "logit_bias", dict(self.logit_bias))
        for token, bias in self.logit_bias.items():
            _require(_whole(token) and token >= 0, "an id of logit_bias", token, "a whole number, 0 or more")
            fine = _number(bias) and -100 <= bias <= 100
            _require(fine, f"the logit_bias of token {token}", bias, "from -100 to 100")

    def _check_counts(self) -> None:
        _require(0 <= self.min_tokens <= self.max_tokens, "min_tokens", self.min_tokens,
                 f"from 0 to max_tokens, which is {self.max_tokens}")  # fmt: skip
        fine = self.logprobs is None or (_whole(self.logprobs) and 0 <= self.logprobs <= MOST_LOGPROBS)
        _require(fine, "logprobs", self.logprobs, f"None, or from 0 to {MOST_LOGPROBS}")
        _require(1 <= self.n <= MOST_TEXTS, "n", self.n, f"from 1 to {MOST_TEXTS}")
        fine = self.best_of is None or (_whole(self.best_of) and self.n <= self.best_of <= MOST_TEXTS)
        _require(fine, "best_of", self.best_of, f"None, or from n, which is {self.n}, to {MOST_TEXTS}")
        _require(isinstance(self.include_stop, bool), "include_stop", self.include_stop, "True or False")

    def _check_guide(self) -> None:
        if self.choices is not None and self.regex is not None:
            raise ValueError(
                f"choices and regex exclude each other, and both came: {self.choices!r} and {self.regex!r}"
            )
        if self.choices is not None:
            fine = len(self.choices) > 0 and "" not in self.choices
            _require(fine, "choices", self.choices, "one text or more, each of at least one character")
        if self.regex is not None:
            _require(isinstance(self.regex, str), "regex", self.regex, "a text")
            Pattern(self.regex)


def _require(fine: bool, name: str, value: object, allowed: str) -> None:
    if not fine:
        raise ValueError(f"{name} must be {allowed}, not {value!r}")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
