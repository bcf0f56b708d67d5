"""What a preset of the benchmark sets."""

from dataclasses import dataclass


@dataclass
class Settings:
    """What a preset in configs/benchmark sets."""

    base: str = "tiny-chat"
    """the chat model that all begins with; where it is not there, the benchmark says so"""
    steps: int = 20
    """of DPO, from a model that learnt the style for `style_steps`"""
    style_steps: int = 20
    pairs: int = 320
    batch_size: int = 16
    per_rule: int = 10
    """wishes of each rule that are answered"""
    per_skill: int = 0
    """tinyworld's own questions of each skill, before and after; 0: none"""
    betas: tuple[float, ...] = ()
    """sweep these beside the preset's own, each a DPO run of `steps`"""
    far: bool = False
    """push one run too far, with the preset `far` of `train`"""
    without_nll: bool = False
    """one more DPO run, by the loss of pairs alone"""
    without_style: bool = False
    """one more DPO run, from the base itself"""
    grpo_steps: int = 0
    """of GRPO; 0: none"""
    device: str = "cpu"
    """where models are trained and answer"""
    peers: bool = True
    """compare with trl, where it is installed"""
    preset: str = "cpu"
