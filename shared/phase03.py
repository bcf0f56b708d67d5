"""What phase 3 hands to the phases above, each name with the project that teaches it."""

# project 7, mixed precision
from phase03_core_inference.project07_mixed_precision.autocast import Autocast
from phase03_core_inference.project07_mixed_precision.half_emulation import emulate_half
from phase03_core_inference.project07_mixed_precision.inference import cast_for_inference
from phase03_core_inference.project07_mixed_precision.kahan import KahanAdamW
from phase03_core_inference.project07_mixed_precision.master_weights import MasterWeights
from phase03_core_inference.project07_mixed_precision.memory import bytes_held, memory_report
from phase03_core_inference.project07_mixed_precision.rounding import (
    round_to_bfloat16,
    round_to_float8,
    round_to_float16,
    stochastic_round,
)
from phase03_core_inference.project07_mixed_precision.scaler import GradScaler
from phase03_core_inference.project07_mixed_precision.step import scaled_step

__all__ = [
    "Autocast",
    "GradScaler",
    "KahanAdamW",
    "MasterWeights",
    "bytes_held",
    "cast_for_inference",
    "emulate_half",
    "memory_report",
    "round_to_bfloat16",
    "round_to_float8",
    "round_to_float16",
    "scaled_step",
    "stochastic_round",
]
