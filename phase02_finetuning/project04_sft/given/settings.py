"""The settings of a fine-tuning run; the presets in configs/ give the reasons for their numbers."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from phase02_finetuning.project04_sft.templates import check_template
from shared.artifacts import check_name
from shared.phase01 import TrainerConfig

Schedule = Literal["cosine", "linear"]


@dataclass(frozen=True)
class SFTConfig(TrainerConfig):
    """What is fine-tuned on what, and how."""

    name: str = "tiny-chat"
    """the model is published under this name"""
    base: str = "tiny-base"
    """the model to begin with, by name"""
    template: str = "tinyworld"
    """the chat template: tinyworld, question, chatml, llama3 or alpaca"""
    data: str = "tinyworld"
    """tinyworld (generated, endless), a JSON or JSON-lines file, mirror:FILE of LADDER_DATA_MIRROR, or hub:NAME"""
    worked: bool = False
    """of tinyworld: answers with their steps written out, where steps help"""
    conversations: float = 0.2
    """of tinyworld: the share of examples that are talks of several turns"""
    items: float = 0.2
    """of tinyworld: the share that is questions in the wording of pre-training"""
    reading: float = 0.15
    """of the exercises: the share that asks about a story, which a model unlearns first"""
    hard: float = 2.5
    """how many times as often the skills come that the base model is bad at"""
    context_length: int = 512
    """tokens of a row, at most the model's context"""
    workers: int = 0
    """of tinyworld: processes that make it ahead of training; 0: the trainer makes it itself"""
    packed: bool = True
    """several conversations a row, each by itself; else one a row, padded"""
    schedule: Schedule = "cosine"
    """the learning rate's path: cosine, or linear as in pre-training (with decay_share)"""
    floor: float = 0.0
    """where the cosine ends, as a share of the peak"""
    validation_examples: int = 256
    """examples held out, for the validation loss"""
    steps: int = 600
    batch_size: int = 8
    optimizer: Literal["muon", "adamw"] = "adamw"
    learning_rate: float = 7e-4
    warmup: int = 20
    weight_decay: float = 0.0
    evaluate_every: int = 200

    def __post_init__(self):
        super().__post_init__()
        check_name(self.base)
        check_template(self.template)
        if self.schedule not in get_args(Schedule):
            raise ValueError(f"schedule must be {' or '.join(get_args(Schedule))}, not {self.schedule!r}")
        for name in ("conversations", "items", "reading", "floor"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1, not {getattr(self, name)}")
        if self.conversations + self.items > 1:
            raise ValueError(
                f"conversations and items are shares of the same whole: {self.conversations} + {self.items} is above 1"
            )
        if not self.hard > 0:
            raise ValueError(f"hard must be above 0, not {self.hard}")
        if self.workers < 0:
            raise ValueError(f"workers must be 0 or more, not {self.workers}")
        for name in ("context_length", "validation_examples"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name} must be at least 2, not {getattr(self, name)}")
        if self.schedule == "cosine" and self.warmup > self.steps:
            raise ValueError(f"warmup must be at most the {self.steps} steps, not {self.warmup}")

    def identity(self) -> dict[str, Any]:
        """As of every trainer; how many processes make the data changes nothing of it."""
        return {name: value for name, value in super().identity().items() if name != "workers"}
