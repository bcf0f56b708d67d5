"""What phase 1 hands to the phases above, each name with the project that teaches it."""

# project 1, minimal GPT
from phase01_foundation.project01_minimal_gpt.attention import Attend, attention_weights
from phase01_foundation.project01_minimal_gpt.generation import generate, partial_stop_length, stream
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
from phase01_foundation.project02_tokenizer.formats import load_gpt2_tokenizer, load_tiktoken
from phase01_foundation.project02_tokenizer.given.openai_tokenizers import load_openai_tokenizer
from phase01_foundation.project02_tokenizer.given.trained import load as load_trained_tokenizer
from phase01_foundation.project02_tokenizer.given.training import train_tokenizer
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project02_tokenizer.tokenizer_json import load as load_tokenizer
from phase01_foundation.project02_tokenizer.tokenizer_json import save as save_tokenizer
from phase01_foundation.project02_tokenizer.words import WordTokenizer

# project 3, pre-training
from phase01_foundation.project03_pretrain.batches import (
    IGNORED,
    Batch,
    Batches,
    micro_batches,
    validation_batches,
)
from phase01_foundation.project03_pretrain.error_analysis import analyse
from phase01_foundation.project03_pretrain.given.blimp import blimp
from phase01_foundation.project03_pretrain.given.document_batches import DocumentBatches
from phase01_foundation.project03_pretrain.given.encoding import PromptTokenizer
from phase01_foundation.project03_pretrain.given.evaluation import evaluate
from phase01_foundation.project03_pretrain.given.pretrained import load_base, publish_base
from phase01_foundation.project03_pretrain.given.settings import TrainerConfig
from phase01_foundation.project03_pretrain.given.skills import skill_scores
from phase01_foundation.project03_pretrain.given.trainer import Speed, fit, prepare
from phase01_foundation.project03_pretrain.hugging_face import load as load_model
from phase01_foundation.project03_pretrain.hugging_face import names as hugging_face_names
from phase01_foundation.project03_pretrain.hugging_face import save as save_model
from phase01_foundation.project03_pretrain.linears import replace_linears
from phase01_foundation.project03_pretrain.llama2c import load as load_llama2c
from phase01_foundation.project03_pretrain.llama2c import load_tokenizer as load_llama2c_tokenizer
from phase01_foundation.project03_pretrain.model import (
    LLM,
    Config,
    RMSNorm,
    causal_attention,
    from_tensors,
    repeat_heads,
    torch_attention,
)
from phase01_foundation.project03_pretrain.monitor import flops_per_token
from phase01_foundation.project03_pretrain.optimizers import Muon, make_optimizers
from phase01_foundation.project03_pretrain.parallel import Processes, process_group
from phase01_foundation.project03_pretrain.run import Run
from phase01_foundation.project03_pretrain.scoring import greedy_batch, log_likelihoods, perplexity
from phase01_foundation.project03_pretrain.step import LossFn, next_token_loss, training_step
from phase01_foundation.project03_pretrain.streaming import StreamingBatches
from phase01_foundation.project03_pretrain.token_file import cached_tokens, read_tokens, write_tokens

__all__ = [
    "IGNORED",
    "LLM",
    "Attend",
    "Batch",
    "Batches",
    "ByteBPE",
    "CharTokenizer",
    "Config",
    "DocumentBatches",
    "LossFn",
    "Muon",
    "Processes",
    "PromptTokenizer",
    "RMSNorm",
    "Run",
    "SamplingParams",
    "Speed",
    "StreamingBatches",
    "Tokenizer",
    "TrainerConfig",
    "WordTokenizer",
    "analyse",
    "attention_weights",
    "blimp",
    "cached_tokens",
    "causal_attention",
    "choose",
    "clip_gradients",
    "evaluate",
    "fit",
    "flops_per_token",
    "from_tensors",
    "generate",
    "greedy_batch",
    "hugging_face_names",
    "keep_top_k",
    "keep_top_p",
    "learning_rate",
    "load_base",
    "load_gpt2_tokenizer",
    "load_llama2c",
    "load_llama2c_tokenizer",
    "load_model",
    "load_openai_tokenizer",
    "load_tiktoken",
    "load_tokenizer",
    "load_trained_tokenizer",
    "log_likelihoods",
    "make_optimizers",
    "micro_batches",
    "next_token_loss",
    "partial_stop_length",
    "penalize_repetition",
    "perplexity",
    "prepare",
    "process_group",
    "publish_base",
    "read_tokens",
    "repeat_heads",
    "replace_linears",
    "rotary_angles",
    "rotate",
    "save_model",
    "save_tokenizer",
    "skill_scores",
    "stream",
    "torch_attention",
    "train_tokenizer",
    "training_step",
    "validation_batches",
    "write_tokens",
]
