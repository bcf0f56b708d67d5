"""The settings of a fine-tuning run."""

from dataclasses import dataclass, fields
from typing import Any, get_args

from phase02_finetuning.project05_lora.lora import EVERYWHERE, LoraConfig
from phase02_finetuning.project05_lora.plan import Method
from shared import artifacts, tinyworld
from shared.phase01 import TrainerConfig


@dataclass(frozen=True)
class FinetuneConfig(TrainerConfig):
    """What is fine-tuned, and how. The presets in configs/ give the reasons for their numbers."""

    name: str = "tiny-lora"
    """the adapter, or the model, is written to work/models/ under this name"""
    base: str = "tiny-base"
    """the model to begin with"""
    method: str = "lora"
    """lora, qlora (over a base in four bits), or full (all weights)"""
    rank: int = 2
    alpha: float = 4.0
    targets: tuple[str, ...] = EVERYWHERE
    """the layers that get an adapter, by the end of their names"""
    dropout: float = 0.0
    rslora: bool = False
    dora: bool = False
    merge: bool = False
    """write the merged model too, for those who open no adapters"""
    skills: tuple[str, ...] | None = None
    """tinyworld's skills to train on; nothing means all of them"""
    validation_items: int = 280
    """questions that a validation reads"""
    per_skill: int = 20
    """questions a skill that are answered before and after; 0: none"""
    optimizer: str = "adamw"  # pyright: ignore[reportIncompatibleVariableOverride]
    weight_decay: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        if self.method not in get_args(Method):
            raise ValueError(f"method must be {', '.join(get_args(Method))}, not {self.method!r}")
        artifacts.check_name(self.base)
        if self.name == self.base:
            raise ValueError(f"name must not be the base's own, {self.base}")
        self.lora_config()  # which checks its part
        for name, least in (("validation_items", 1), ("per_skill", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if unknown := [skill for skill in self.skills or () if skill not in tinyworld.SKILLS]:
            raise ValueError(f"there is no skill {unknown[0]!r}; there is {', '.join(tinyworld.SKILLS)}")
        if self.skills == ():
            raise ValueError("skills must name at least one, or be left out for all")

    def lora_config(self) -> LoraConfig:
        """The adapter that the settings ask for. Raises ValueError for one that cannot be."""
        return LoraConfig(**{field.name: getattr(self, field.name) for field in fields(LoraConfig)})

    def identity(self) -> dict[str, Any]:
        """The settings that a checkpoint must agree with."""
        free = {"merge", "validation_items", "per_skill"}
        return {name: value for name, value in super().identity().items() if name not in free}
