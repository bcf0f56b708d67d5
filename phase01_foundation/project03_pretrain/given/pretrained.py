"""Trained models by name: weights and tokenizer in one artifact, as later projects want them.

model, tokenizer = load_base("tiny-base")
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from phase01_foundation.project02_tokenizer import tokenizer_json
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain.hugging_face import shapes
from phase01_foundation.project03_pretrain.model import LLM, Config, from_tensors
from shared import artifacts
from shared.command import how_to_run

TRAIN = "phase01_foundation.project03_pretrain.train"


def publish_base(
    name: str,
    model: LLM,
    tokenizer: Tokenizer[Any],
    card: Mapping[str, object],
    *,
    released: bool = False,
    dtype: torch.dtype | None = None,
) -> artifacts.Artifact:
    """Publish a model with its tokenizer as work/models/<name>, or data/models/<name> when it is to be released.

    The weights are stored in `dtype`, or, for None, as they are; bfloat16 halves the file and keeps three digits.
    Raises ValueError, before anything is written, for a tokenizer with more ids than the model, and for a model
    whose layers were changed, which its config could not build again.
    """
    config = model.config
    if tokenizer.vocab_size > config.vocab_size:
        raise ValueError(
            f"the tokenizer has ids up to {tokenizer.vocab_size - 1}; the model knows those below {config.vocab_size}"
        )
    tensors = model.state_dict()
    if config.tied_embeddings:
        if model.head.weight is not model.embedding.weight:
            raise ValueError("the config says tied_embeddings, but the head is no longer the embedding")
        del tensors["head.weight"]
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if changed := sorted({name for name, _ in found.items() ^ shapes(config).items()}):
        raise ValueError(f"layers were changed, and its config cannot build these: {', '.join(changed)}")
    parts = {"model": asdict(config), "tokenizer": tokenizer_json.to_json(tokenizer)}
    stored = {name: tensor.to(dtype or tensor.dtype) for name, tensor in tensors.items()}
    return artifacts.publish(name, stored, parts, card, released=released)


def load_base(name: str = "tiny-base", dtype: torch.dtype | None = None) -> tuple[LLM, Tokenizer[Any]]:
    """A trained model by name and its tokenizer: the learner's own where there is one, else the released one.

    The model is on the CPU and in evaluation mode, its weights in `dtype`, or, for None, in float32. Raises
    ArtifactError when there is no such model, CheckpointError for a broken file or one of another project.
    """
    return load_artifact(
        artifacts.find(name, command=f"{how_to_run(TRAIN)} --preset cpu --name {name}"), dtype
    )


def load_artifact(
    artifact: artifacts.Artifact, dtype: torch.dtype | None = None
) -> tuple[LLM, Tokenizer[Any]]:
    """The model and tokenizer of an artifact that has been found. Raises CheckpointError as `load_base` does."""
    try:
        config = Config(**artifact.config["model"])
        tokenizer = tokenizer_json.from_json(artifact.config["tokenizer"])
        tensors = {name: tensor.to(dtype or torch.float32) for name, tensor in artifact.tensors().items()}
        if config.layers > len(tensors):  # which would take long to be found out
            raise ValueError(f"{config.layers:,} layers in {len(tensors):,} tensors")
        model = from_tensors(config, tensors)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, RuntimeError) as problem:
        reason = str(problem).split("\n", 1)[0]
        raise artifacts.CheckpointError(
            f"{artifact.name} is no model of project 3: {type(problem).__name__} {reason}"
        ) from None
    return model.eval(), tokenizer
