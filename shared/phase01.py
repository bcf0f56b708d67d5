"""What phase 1 hands to the phases above, each name with the project that teaches it."""

# project 1, minimal GPT
from phase01_foundation.project01_minimal_gpt.attention import Attend, attention_weights
from phase01_foundation.project01_minimal_gpt.generation import generate, held_back, stream
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

# project 2, tokenizer
from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.formats import load_gpt2, load_tiktoken
from phase01_foundation.project02_tokenizer.released import load_released
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project02_tokenizer.tokenizer_json import load as load_tokenizer
from phase01_foundation.project02_tokenizer.tokenizer_json import save as save_tokenizer
from phase01_foundation.project02_tokenizer.train import load as load_trained_tokenizer
from phase01_foundation.project02_tokenizer.training import train_tokenizer
from phase01_foundation.project02_tokenizer.words import WordTokenizer

# project 3, pre-training
from phase01_foundation.project03_pretrain.attention import causal_attention, repeat_heads, torch_attention
from phase01_foundation.project03_pretrain.hugging_face import load as load_model
from phase01_foundation.project03_pretrain.hugging_face import save as save_model
from phase01_foundation.project03_pretrain.linears import replace_linears
from phase01_foundation.project03_pretrain.model import LLM, Config, RMSNorm, from_tensors

__all__ = [
    "LLM",
    "Attend",
    "ByteBPE",
    "CharTokenizer",
    "Config",
    "RMSNorm",
    "SamplingParams",
    "Tokenizer",
    "WordTokenizer",
    "attention_weights",
    "causal_attention",
    "choose",
    "clip_gradients",
    "from_tensors",
    "generate",
    "held_back",
    "keep_top_k",
    "keep_top_p",
    "learning_rate",
    "load_gpt2",
    "load_model",
    "load_released",
    "load_tiktoken",
    "load_tokenizer",
    "load_trained_tokenizer",
    "penalize_repetition",
    "repeat_heads",
    "replace_linears",
    "rotary_angles",
    "rotate",
    "save_model",
    "save_tokenizer",
    "stream",
    "torch_attention",
    "train_tokenizer",
]
