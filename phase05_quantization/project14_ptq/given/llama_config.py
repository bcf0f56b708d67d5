"""The shape of a model in config.json's words, Hugging Face's, for folders that hold quantized weights."""

from collections.abc import Mapping
from typing import Any

from shared.checkpoint import CheckpointError
from shared.phase01 import Config

NAMES = {  # ours: theirs
    "vocab_size": "vocab_size", "context_length": "max_position_embeddings", "layers": "num_hidden_layers",
    "heads": "num_attention_heads", "kv_heads": "num_key_value_heads", "dim": "hidden_size",
    "hidden_dim": "intermediate_size", "head_dim": "head_dim", "norm_eps": "rms_norm_eps",
    "tied_embeddings": "tie_word_embeddings", "rope_base": "rope_theta",
}  # fmt: skip


def to_hugging_face(config: Config) -> dict[str, Any]:
    """config.json of a Llama, or with qk_norm of a Qwen3. Raises ValueError for what these have no words for."""
    if config.activation != "swiglu" or config.logit_softcap is not None:
        raise ValueError("Hugging Face's Llama has swiglu and no logit_softcap; this model differs")
    kind, name = ("qwen3", "Qwen3ForCausalLM") if config.qk_norm else ("llama", "LlamaForCausalLM")
    return {
        "architectures": [name],
        "model_type": kind,
        **{theirs: getattr(config, ours) for ours, theirs in NAMES.items()},
        "head_dim": config.head_width,
        "hidden_act": "silu",
        "attention_bias": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_base},
        "dtype": "float32",
    }


def from_hugging_face(content: Mapping[str, Any], where: str) -> Config:
    """The Config of what `to_hugging_face` has written. Raises CheckpointError, saying why it cannot be used."""
    missing = [theirs for theirs in NAMES.values() if theirs not in content]
    if content.get("model_type") not in ("llama", "qwen3") or missing:
        raise CheckpointError(
            f"{where} must be of model_type llama or qwen3 and say {', '.join(NAMES.values())}; it is of "
            f"{content.get('model_type')!r} and lacks {', '.join(missing) or 'nothing'}"
        )
    fields = {ours: content[theirs] for ours, theirs in NAMES.items()}
    try:
        if fields["head_dim"] * fields["heads"] == fields["dim"]:
            fields["head_dim"] = None
        return Config(**fields, qk_norm=content["model_type"] == "qwen3")
    except (TypeError, ValueError) as problem:
        raise CheckpointError(f"{where} cannot be used: {problem}") from None
