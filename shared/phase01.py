"""What phase 1 hands to the phases above, each name with the project that teaches it."""

# project 1, minimal GPT
from phase01_foundation.project01_minimal_gpt.attention import (
    Attend,
    attention_weights,
    causal_attention,
    torch_attention,
)
from phase01_foundation.project01_minimal_gpt.generation import held_back
from phase01_foundation.project01_minimal_gpt.rotary import rotary_angles, rotate
from phase01_foundation.project01_minimal_gpt.sampling import (
    SamplingParams,
    choose,
    keep_top_k,
    keep_top_p,
    penalize_repetition,
)
from phase01_foundation.project01_minimal_gpt.tokenizer import CharTokenizer
from phase01_foundation.project01_minimal_gpt.training import clip_gradients, learning_rate

__all__ = [
    "Attend",
    "CharTokenizer",
    "SamplingParams",
    "attention_weights",
    "causal_attention",
    "choose",
    "clip_gradients",
    "held_back",
    "keep_top_k",
    "keep_top_p",
    "learning_rate",
    "penalize_repetition",
    "rotary_angles",
    "rotate",
    "torch_attention",
]
