"""A model as one GGUF file that llama.cpp runs, matrices in its Q8_0 or Q4_0 blocks."""

import importlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from phase05_quantization.project14_ptq.gguf_blocks import q4_0_blocks, q8_0_blocks
from shared.files import replacing
from shared.phase01 import LLM

NAMES = {
    "embedding.weight": "token_embd.weight", "norm.weight": "output_norm.weight", "head.weight": "output.weight",
    "attention_norm.weight": "attn_norm.weight", "feed_forward_norm.weight": "ffn_norm.weight",
    "attention.q.weight": "attn_q.weight", "attention.k.weight": "attn_k.weight",
    "attention.v.weight": "attn_v.weight", "attention.out.weight": "attn_output.weight",
    "attention.q_norm.weight": "attn_q_norm.weight", "attention.k_norm.weight": "attn_k_norm.weight",
    "feed_forward.gate.weight": "ffn_gate.weight", "feed_forward.up.weight": "ffn_up.weight",
    "feed_forward.down.weight": "ffn_down.weight",
}  # fmt: skip
"""ours and llama.cpp's"""
KINDS = ("Q8_0", "Q4_0")


def write_gguf(model: LLM, path: Path, kind: str) -> None:
    """All linear layers of the blocks in blocks of this kind, embedding and head in Q8_0, gains in float32.

    A model with qk_norm is a "qwen3" there, whose rotary pairs are half a head apart, as ours; without, a "llama",
    whose pairs are neighbours: then rows of q and k are put in that order. The file has no tokenizer. Raises ValueError
    for a kind that is none, and as the blocks do.
    """
    check_kind(kind)
    gguf: Any = importlib.import_module("gguf")
    config = model.config
    tensors = {
        name: _matrix(name, one.detach().float(), config, kind) for name, one in model.named_parameters()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        file = gguf.GGUFWriter(str(temporary), "qwen3" if config.qk_norm else "llama")
        for what, value in {
            "context_length": config.context_length, "embedding_length": config.dim, "block_count": config.layers,
            "feed_forward_length": config.hidden_dim, "head_count": config.heads, "head_count_kv": config.kv_heads,
            "key_length": config.head_width, "value_length": config.head_width,
            "layer_norm_rms_eps": config.norm_eps, "rope_dimension_count": config.head_width,
            "rope_freq_base": config.rope_base, "vocab_size": config.vocab_size, "tokenizer_model": "no_vocab",
        }.items():  # fmt: skip
            getattr(file, f"add_{what}")(value)
        for name, (found, numbers) in tensors.items():
            raw = {"raw_dtype": getattr(gguf.GGMLQuantizationType, found)} if found else {}
            parts = name.split(".")
            place, own = (f"blk.{parts[1]}.", ".".join(parts[2:])) if parts[0] == "blocks" else ("", name)
            file.add_tensor(place + NAMES[own], numbers.contiguous().numpy(), **raw)
        file.write_header_to_file()
        file.write_kv_data_to_file()
        file.write_tensors_to_file()
        file.close()


def check_kind(kind: str) -> None:
    """Raises ValueError for a kind that is none, naming it."""
    if kind not in KINDS:
        raise ValueError(f"the kind must be one of {', '.join(KINDS)}, not {kind!r}")


def _matrix(name: str, weight: Tensor, config: Any, kind: str) -> tuple[str, Tensor]:
    """The kind of blocks a parameter has in the file, "" for floats, and its bytes or numbers."""
    if weight.ndim == 1:
        return "", weight
    if not config.qk_norm and name.endswith(("attention.q.weight", "attention.k.weight")):
        halves = weight.unflatten(0, (-1, 2, config.head_width // 2))
        weight = halves.transpose(1, 2).flatten(0, 2)
    if kind == "Q8_0" or name in ("embedding.weight", "head.weight"):
        return "Q8_0", q8_0_blocks(weight)
    return "Q4_0", q4_0_blocks(weight)


def size_of(model: LLM, kind: str) -> int:
    """The bytes of all matrices and gains in such a file, without its header."""
    found = [
        _matrix(name, one.detach().float(), model.config, kind)[1] for name, one in model.named_parameters()
    ]
    return sum(one.nbytes if one.dtype == torch.uint8 else one.numel() * 4 for one in found)
