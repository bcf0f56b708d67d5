"""Checkpoints in Hugging Face's Llama format, read and written: the model there and the model here are the same one.

Without qk_norm the format is that of LlamaForCausalLM (model_type "llama": Llama, TinyLlama, SmolLM and many more),
with it that of Qwen3ForCausalLM ("qwen3"). Rotary embedding needs no permutation: both pair dimension p of a head with
p + head_dim / 2.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import torch

from phase01_foundation.project03_pretrain.given import safetensors_folder
from phase01_foundation.project03_pretrain.model import LLM, Config, from_tensors
from shared.checkpoint import CheckpointError
from shared.kinds import check_kind

NAMES = {  # ours: theirs; {} is the number of the block
    "embedding.weight": "model.embed_tokens.weight",
    "blocks.{}.attention_norm.weight": "model.layers.{}.input_layernorm.weight",
    "blocks.{}.attention.q.weight": "model.layers.{}.self_attn.q_proj.weight",
    "blocks.{}.attention.k.weight": "model.layers.{}.self_attn.k_proj.weight",
    "blocks.{}.attention.v.weight": "model.layers.{}.self_attn.v_proj.weight",
    "blocks.{}.attention.q_norm.weight": "model.layers.{}.self_attn.q_norm.weight",  # with qk_norm
    "blocks.{}.attention.k_norm.weight": "model.layers.{}.self_attn.k_norm.weight",  # with qk_norm
    "blocks.{}.attention.out.weight": "model.layers.{}.self_attn.o_proj.weight",
    "blocks.{}.feed_forward_norm.weight": "model.layers.{}.post_attention_layernorm.weight",
    "blocks.{}.feed_forward.gate.weight": "model.layers.{}.mlp.gate_proj.weight",
    "blocks.{}.feed_forward.up.weight": "model.layers.{}.mlp.up_proj.weight",
    "blocks.{}.feed_forward.down.weight": "model.layers.{}.mlp.down_proj.weight",
    "norm.weight": "model.norm.weight",
    "head.weight": "lm_head.weight",  # unless tied
}
UNUSED = (
    r"lm_head\.weight|model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq"  # some files have them needlessly
)

CONFIG_NAMES = {  # ours: theirs
    "vocab_size": "vocab_size",
    "context_length": "max_position_embeddings",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "dim": "hidden_size",
    "hidden_dim": "intermediate_size",
    "head_dim": "head_dim",
    "norm_eps": "rms_norm_eps",
    "tied_embeddings": "tie_word_embeddings",
}
# What transformers takes where config.json is silent.
DEFAULTS = {
    "llama": {"max_position_embeddings": 2048, "head_dim": None},
    "qwen3": {"max_position_embeddings": 32768, "head_dim": 128},
}
COMMON_DEFAULTS = {"rms_norm_eps": 1e-6, "tie_word_embeddings": False}
# What this model can do in one way only; anything else in config.json is refused.
FIXED = {
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "use_sliding_window": False,
    "quantization_config": None,
}
ARCHITECTURES = {"llama": "LlamaForCausalLM", "qwen3": "Qwen3ForCausalLM"}


def load(folder: Path | str, dtype: torch.dtype | None = None) -> LLM:
    """The model in a folder with config.json and safetensors, one file or several with an index; on the CPU.

    The weights are in `dtype`, or, for None, as they are stored. `safetensors_folder` reads the files: their
    config.json (`read_config` makes ours of it), where each tensor lies, and the tensors, by their names and with the
    shapes that this model gives them (`shapes`); those that match UNUSED may be there too. `settle_head`, once it is
    known where the tensors lie, gives the names, and the config that counts: whether a head is tied, the files decide.
    All of them raise what there is to raise: CheckpointError, before the model is made, for a config this model cannot
    follow, and for a tensor that is missing, of the wrong shape or too many.
    """
    folder = Path(folder)
    config = read_config(safetensors_folder.read_config(folder), str(folder))
    places = safetensors_folder.locate(folder)
    config, theirs = settle_head(config, places)
    wanted = shapes(config)
    found = safetensors_folder.read(
        places,
        {theirs[name]: shape for name, shape in wanted.items()},
        UNUSED,
        dtype,
    )
    return from_tensors(config, {name: found[theirs[name]] for name in wanted})


def save(
    model: LLM,
    folder: Path | str,
    *,
    bos_token_id: int | None = None,
    eos_token_id: int | None = None,
    shard_bytes: int = 5_000_000_000,
) -> None:
    """Write the model for transformers, vLLM and others to open; weights over `shard_bytes` become several files.

    The ids say which tokens begin and end a text, for those who generate with it. config.json is what `write_config`
    makes of the config, and has also "dtype", that of the embedding, such as "bfloat16". `safetensors_folder` writes
    the files. A tied head is not written. Dropout is left behind: the format describes a model in use.

    Raises ValueError, before anything is written, for `shard_bytes` below 1, and for a model the format has no words
    for: what `write_config` refuses; a head that the config calls tied and that no longer is the embedding, naming
    tied_embeddings; and layers that were changed, naming each tensor whose name or shape is not one of `shapes`.
    """
    if shard_bytes < 1:
        raise ValueError(f"shard_bytes must be at least 1, not {shard_bytes}")
    config = write_config(model.config, bos_token_id, eos_token_id)
    tensors = model.state_dict()
    if model.config.tied_embeddings:
        if getattr(model.head, "weight", None) is not model.embedding.weight:
            raise ValueError("the config says tied_embeddings, but the head is no longer the embedding")
        del tensors["head.weight"]
    wanted, theirs = shapes(model.config), names(model.config)
    found = {name: tensor.shape for name, tensor in tensors.items()}
    if changed := sorted({name for name, _ in found.items() ^ wanted.items()}):
        raise ValueError(f"layers were changed, and the format has no place for these: {', '.join(changed)}")
    dtype = str(model.embedding.weight.dtype).removeprefix("torch.")
    safetensors_folder.write(
        Path(folder),
        {**config, "dtype": dtype},
        {theirs[name]: tensors[name] for name in wanted},
        shard_bytes,
    )


def names(config: Config) -> dict[str, str]:
    """Their name by ours: NAMES once for each block of the config, whether or not its model has all of them.

    "blocks.{}.attention.q.weight" of three blocks becomes three entries, numbered 0 to 2; "norm.weight" stays one.
    """
    return {
        ours.format(block): theirs.format(block)
        for ours, theirs in NAMES.items()
        for block in range(config.layers if "{}" in ours else 1)
    }


def settle_head(config: Config, places: Mapping[str, Path]) -> tuple[Config, dict[str, str]]:
    """The config that fits the files, and `names` for it, where the config ties the head to the embedding.

    As in transformers, a head in the files that differs from the embedding counts, and the config is then not tied;
    and where they hold the head alone, the embedding is read under its name. `places` says which file holds each
    tensor. Raises CheckpointError for a config of more layers than there are tensors, or of sizes beyond all memory.
    """
    if config.layers > len(places):
        raise CheckpointError(
            f"config.json says num_hidden_layers {config.layers:,}; the files hold {len(places):,} tensors"
        )
    try:
        shapes(config)
    except (RuntimeError, TypeError, OverflowError) as problem:
        reason = str(problem).split("\n", 1)[0]
        raise CheckpointError(f"config.json asks for a model that cannot be: {reason}") from None
    theirs = names(config)
    head, embedding = NAMES["head.weight"], NAMES["embedding.weight"]
    if config.tied_embeddings and head in places:
        if embedding not in places:
            theirs["embedding.weight"] = head
        elif not safetensors_folder.same(places, head, embedding):
            config = replace(config, tied_embeddings=False)
    return config, theirs


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Our name and shape of each tensor that a file holds: all the model's, without a tied head."""
    with torch.device("meta"):
        model = LLM(replace(config, layers=1))  # thousands would take minutes, and all are alike
    found: dict[str, tuple[int, ...]] = {}
    for name, parameter in model.named_parameters():
        blocks = config.layers if name.startswith("blocks.0.") else 1
        for block in range(blocks):
            found[name.replace("blocks.0.", f"blocks.{block}.", 1)] = tuple(parameter.shape)
    return found


def read_config(content: Mapping[str, Any], where: str = "config.json") -> Config:
    """Our Config from a config.json. Raises CheckpointError for one this model cannot follow, saying why."""
    kind = content.get("model_type")
    if not isinstance(kind, str) or kind not in DEFAULTS:
        raise CheckpointError(f"{where} is of model_type {kind!r}; this code reads {' and '.join(DEFAULTS)}")
    for name, fixed in FIXED.items():
        if content.get(name, fixed) != fixed:
            raise CheckpointError(f"{where} has {name} {content[name]!r}; this model can only have {fixed!r}")
    layer_types = content.get("layer_types") or []
    if not isinstance(layer_types, list) or any(layer != "full_attention" for layer in layer_types):
        raise CheckpointError(
            f"{where} has layer_types other than full_attention, which this model cannot have"
        )
    values = {**COMMON_DEFAULTS, **DEFAULTS[kind], **content}
    if values.get("num_key_value_heads") is None:
        values["num_key_value_heads"] = values.get("num_attention_heads")
    if missing := [theirs for theirs in CONFIG_NAMES.values() if theirs not in values]:
        raise CheckpointError(f"{where} has no {', '.join(missing)}")
    fields = {ours: values[theirs] for ours, theirs in CONFIG_NAMES.items()}
    kinds = get_type_hints(Config)
    try:
        for ours, theirs in CONFIG_NAMES.items():
            check_kind(theirs, fields[ours], kinds[ours])
        if fields["head_dim"] is not None and fields["head_dim"] * fields["heads"] == fields["dim"]:
            fields["head_dim"] = None  # they always write it
        fields["norm_eps"] = float(fields["norm_eps"])
        return Config(**fields, rope_base=_rope_base(content, where), qk_norm=kind == "qwen3")
    except ValueError as problem:
        raise CheckpointError(f"{where} cannot be used: {problem}") from None


def _rope_base(content: Mapping[str, Any], where: str) -> float:
    """The base of the rotary embedding: one number in older files, part of an object in newer ones."""
    base = content.get("rope_theta", 10_000.0)
    for name in ("rope_scaling", "rope_parameters"):
        rope = content.get(name) or {}
        if not isinstance(rope, dict):
            raise CheckpointError(f"{where} has {name} {rope!r}, which must be an object")
        kind = rope.get("rope_type", rope.get("type", "default"))
        if kind != "default" or rope.get("partial_rotary_factor", 1.0) != 1.0:
            raise CheckpointError(f"{where} has {name} {rope}; this model knows rope_type 'default' alone")
        base = rope.get("rope_theta", base)
    check_kind("rope_theta", base, float)
    return float(base)


def write_config(config: Config, bos_token_id: int | None, eos_token_id: int | None) -> dict[str, object]:
    """The config.json of a Config. Raises ValueError for one the format has no words for."""
    if config.activation != "swiglu":
        raise ValueError(f"Hugging Face's Llama has no {config.activation}; it can only have swiglu")
    if config.logit_softcap is not None:
        raise ValueError(f"Hugging Face's Llama has no logit_softcap; this model has {config.logit_softcap}")
    if config.dim % config.heads and not config.qk_norm:
        raise ValueError(
            f"Hugging Face's Llama wants a dim that is a multiple of heads: {config.dim} is none of {config.heads}"
        )
    kind = "qwen3" if config.qk_norm else "llama"
    return {
        "architectures": [ARCHITECTURES[kind]],
        "model_type": kind,
        **{theirs: getattr(config, ours) for ours, theirs in CONFIG_NAMES.items()},
        "head_dim": config.head_width,
        "hidden_act": "silu",
        "attention_bias": False,
        "rope_theta": config.rope_base,  # older readers look here
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_base},  # newer ones here
        "bos_token_id": bos_token_id,
        "eos_token_id": eos_token_id,
    }
