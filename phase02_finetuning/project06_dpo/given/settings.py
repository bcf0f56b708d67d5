"""The settings of the three trainings; the presets in configs/ give the reasons for their numbers."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from phase02_finetuning.project05_lora.lora import LoraConfig
from phase02_finetuning.project06_dpo.grpo import Average, check_settings
from shared.artifacts import check_name
from shared.phase01 import TrainerConfig
from shared.tuning.tinyworld import RULES, SKILLS

Loss = Literal["sigmoid", "hinge", "ipo", "simpo", "kto"]
Method = Literal["lora", "full"]
Answers = Literal["both", "chosen"]


@dataclass(frozen=True)
class TunedConfig(TrainerConfig):
    """What the three have in common: a chat model to begin with, AdamW, and no decay of weights."""

    base: str = "tiny-chat"
    """the chat model to begin with, by name"""
    template: str = ""
    """another chat template than the base's own"""
    optimizer: Literal["muon", "adamw"] = "adamw"
    weight_decay: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        check_name(self.base)
        if self.name == self.base:
            raise ValueError(f"name must not be the base's own, {self.base}")

    def identity(self) -> dict[str, Any]:
        """The settings that a checkpoint must agree with; lists, as a checkpoint brings tuples back as such."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in super().identity().items()
        }


@dataclass(frozen=True)
class StyleConfig(TunedConfig):
    """Fine-tuning on the answers to wishes, before any preference is trained."""

    name: str = "tiny-style"
    """the model is published under this name"""
    answers: Answers = "both"
    """learn both answers of a pair, so that preferences have something to choose from, or the chosen alone"""
    keep: float = 0.6
    """the share of examples that are project 4's mix, so that what the model can do is not unlearnt"""
    context_length: int = 512
    """tokens of a packed row"""
    steps: int = 100
    batch_size: int = 8
    learning_rate: float = 3e-4
    warmup: int = 10
    decay_share: float = 0.8
    evaluate_every: int = 50

    def __post_init__(self):
        super().__post_init__()
        if self.answers not in get_args(Answers):
            raise ValueError(f"answers must be {' or '.join(get_args(Answers))}, not {self.answers!r}")
        if not 0 <= self.keep < 1:
            raise ValueError(f"keep must be at least 0 and below 1, not {self.keep}")
        if self.context_length < 2:
            raise ValueError(f"context_length must be at least 2, not {self.context_length}")


@dataclass(frozen=True)
class PreferenceConfig(TunedConfig):
    """Training on pairs of answers."""

    name: str = "tiny-dpo"
    """the model is published under this name, its adapter merged"""
    data: str = "tinyworld"
    """tinyworld (its wishes), or a JSON or JSON-lines file of pairs"""
    pairs: int = 2000
    """of tinyworld: how many wishes to train on"""
    validation_pairs: int = 160
    """pairs held out, for the loss and the accuracy; of a file at most a fifth"""
    rules: tuple[str, ...] | None = None
    """of tinyworld: the rules whose wishes are trained on; nothing means all of them"""
    loss: Loss = "sigmoid"
    """sigmoid (DPO), hinge, ipo, simpo or kto"""
    beta: float = 0.1
    """how dear it is to move away from the reference: the lower, the farther the policy goes"""
    label_smoothing: float = 0.0
    """of sigmoid: the share of pairs that may be the wrong way round"""
    gamma: float = 0.5
    """of simpo: the margin"""
    nll: float = 0.0
    """how much of the chosen answers' own loss is added, so that they do not become less likely too"""
    method: Method = "lora"
    """lora, whose base is the reference, or full, all weights"""
    rank: int = 8
    alpha: float = 16.0
    cached: bool = True
    """take the reference's numbers from disk, made once; otherwise (lora only) the base says them at each step"""
    steps: int = 120
    batch_size: int = 32
    """pairs a step"""
    learning_rate: float = 5e-4
    warmup: int = 10
    decay_share: float = 0.8
    evaluate_every: int = 30

    def __post_init__(self):
        super().__post_init__()
        for name, allowed in (("loss", get_args(Loss)), ("method", get_args(Method))):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be {', '.join(allowed)}, not {getattr(self, name)!r}")
        if not self.beta > 0:
            raise ValueError(f"beta must be above 0, not {self.beta}")
        if not 0 <= self.label_smoothing < 0.5:
            raise ValueError(f"label_smoothing must be from 0 to below 0.5, not {self.label_smoothing}")
        for name in ("gamma", "nll"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
        for name in ("pairs", "validation_pairs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        check_names("rules", self.rules, tuple(RULES))
        if not self.cached and self.method == "full":
            raise ValueError(
                "without a cache the reference is the base below the adapter, so method must be lora"
            )
        LoraConfig(self.rank, self.alpha)  # which checks its part


@dataclass(frozen=True)
class ReinforceConfig(TunedConfig):
    """Training on rewards: answers are sampled, checked, and compared within their group."""

    name: str = "tiny-grpo"
    """the model is published under this name, its adapter merged"""
    skills: tuple[str, ...] | None = ("sequence", "yes_no")
    """tinyworld's skills to try; nothing means all of them"""
    group_size: int = 8
    """answers to each exercise, which are compared with each other"""
    batch_size: int = 16
    """exercises a step"""
    max_tokens: int = 48
    """of an answer"""
    updates: int = 1
    """steps on each batch of answers; with one, the ratio is 1 and the clip never acts"""
    low: float = 0.2
    high: float = 0.2
    """how far the ratio may go, below and above 1"""
    beta: float = 0.02
    """how dear it is to move away from the reference"""
    average: Average = "token"
    """what the loss is a mean over: token, sequence or constant"""
    scale: bool = True
    """divide advantages by the group's standard deviation"""
    rank: int = 8
    alpha: float = 16.0
    validation_exercises: int = 120
    """exercises that a validation answers greedily"""
    steps: int = 100
    learning_rate: float = 3e-4
    warmup: int = 5
    decay_share: float = 0.5
    evaluate_every: int = 25

    def __post_init__(self):
        super().__post_init__()
        check_names("skills", self.skills, SKILLS)
        for name, least in (
            ("group_size", 2),
            ("max_tokens", 1),
            ("updates", 1),
            ("validation_exercises", 1),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")
        check_settings(self.low, self.high, self.beta, self.average, self.max_tokens)
        LoraConfig(self.rank, self.alpha)


def check_names(what: str, names: tuple[str, ...] | None, known: tuple[str, ...]) -> None:
    """Raises ValueError for a name that is not known, and for an empty list of them."""
    if names == ():
        raise ValueError(f"{what} must name at least one, or be left out for all")
    if unknown := [name for name in names or () if name not in known]:
        raise ValueError(f"{what} has no {unknown[0]!r}; there is {', '.join(known)}")
