"""Trained heads by name: put away as an artifact, and found again."""

import copy
from collections.abc import Mapping

import torch

from phase04_advanced_inference.project11_speculative_decoding.mtp import MTPHeads
from shared import artifacts
from shared.command import how_to_run
from shared.phase01 import LLM

TRAIN = "phase04_advanced_inference.project11_speculative_decoding.train_heads"


def publish_heads(
    name: str,
    heads: MTPHeads,
    base: str,
    card: Mapping[str, object],
    *,
    released: bool = False,
    dtype: torch.dtype | None = None,
) -> artifacts.Artifact:
    """Publish heads as work/models/<name>, or data/models/<name> when they are released; `base` is their model."""
    config = {"base": base, "dim": heads.dim, "count": heads.count}
    tensors = {key: tensor.to(dtype or tensor.dtype) for key, tensor in heads.state_dict().items()}
    return artifacts.publish(name, tensors, config, card, released=released)


def rounded(heads: MTPHeads) -> MTPHeads:
    """The heads as they are after being stored in bfloat16, in the format that they had."""
    found = copy.deepcopy(heads)
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.copy_(parameter.bfloat16())
    return found


def load_heads(name: str, model: LLM) -> MTPHeads:
    """Trained heads by name, the learner's own before the released ones, in the format of the model they are for.

    Raises ArtifactError when there are none, CheckpointError for what are no heads, or heads for another width.
    """
    return load_artifact(
        artifacts.find(name, command=f"{how_to_run(TRAIN)} --preset cpu --name {name}"), model
    )


def load_artifact(artifact: artifacts.Artifact, model: LLM) -> MTPHeads:
    """The heads of an artifact that has been found. Raises CheckpointError as `load_heads` does."""
    try:
        dim, count = artifact.config["dim"], artifact.config["count"]
        if dim != model.config.dim:
            raise ValueError(f"made for a stream of {dim}, not {model.config.dim}")
        heads = MTPHeads(dim, count)
        heads.load_state_dict(artifact.tensors())
    except (KeyError, TypeError, ValueError, RuntimeError) as problem:
        reason = str(problem).split("\n", 1)[0]
        raise artifacts.CheckpointError(
            f"{artifact.name} has no heads for this model: {type(problem).__name__} {reason}"
        ) from None
    weight = model.embedding.weight
    return heads.to(device=weight.device, dtype=weight.dtype).eval()
