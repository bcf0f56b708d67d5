"""What a preset of the benchmark sets."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What a preset in configs/benchmark sets."""

    base: str = "tiny-base"
    """the model that is measured and fine-tuned"""
    talks: int = 200
    """random talks whose text, ids and labels must be transformers' own"""
    examples: int = 96
    """examples that are trained on in each round, for the speed of packed and padded rows"""
    rows: int = 8
    """rows of a step there"""
    context_length: int = 512
    repeats: int = 3
    steps: int = 40
    """of the short fine-tuning; 0: none"""
    per_skill: int = 8
    """exercises of each skill, before and after"""
    whole: bool = False
    """train the `cpu` preset to its end too, by a cosine and in a straight line"""
    long: bool = False
    """train the `long` preset to its end too"""
    released: str = ""
    """the released chat model, which is measured as it is; empty: none"""
    device: str = "cpu"
    """where models are trained and answer"""
    preset: str = "cpu"
