"""Put a trained model among the released ones, data/models/, which come with the repository.

    python -m phase01_foundation.project01_minimal_gpt.release char-gpt-long

It is for maintainers. Weights are stored in bfloat16, half the size; what is stored is validated once more.
"""

from typing import Annotated

import torch
import typer
from rich.console import Console

from phase01_foundation.project01_minimal_gpt.generate import load_artifact
from phase01_foundation.project01_minimal_gpt.given.settings import TrainConfig
from phase01_foundation.project01_minimal_gpt.train import load_data
from phase01_foundation.project01_minimal_gpt.training import evaluate
from shared import artifacts
from shared.command import exits_with_message
from shared.corpora import CorpusError
from shared.device import pick_dtype
from shared.files import shown
from shared.options import run_command


def release(name: str, released_name: str = "char-gpt") -> artifacts.Artifact:
    """Publish the model `name` as a released one; its card keeps how it was trained.

    Raises ArtifactError or CheckpointError for a model that cannot be loaded, CorpusError where its text cannot be
    had to validate it.
    """
    source = artifacts.find(name)
    settings = TrainConfig(**{**source.card["settings"], "fallback": None})
    model, _ = load_artifact(source, device="cpu")
    half = {key: tensor.to(torch.bfloat16) for key, tensor in model.state_dict().items()}
    model.load_state_dict(half)
    _, _, validation_ids, _ = load_data(settings)
    loss = evaluate(model, validation_ids, dtype=pick_dtype())
    card = {**source.card, "name": released_name, "stored_as": "bfloat16", "validation_loss": loss}
    return artifacts.publish(released_name, half, source.config, card, released=True)


def main(name: Annotated[str, typer.Argument(help="The trained model's name.")]) -> None:
    """Release a trained model as char-gpt."""
    kinds = artifacts.ArtifactError, artifacts.CheckpointError, CorpusError
    with exits_with_message(Console(stderr=True), *kinds):
        artifact = release(name)
    print(f"released: {shown(artifact.folder)}, validation loss {artifact.card['validation_loss']:.4f}")


if __name__ == "__main__":
    run_command(main)
