"""Trained tokenizers by name, as `train` publishes them."""

from typing import Any

from phase01_foundation.project02_tokenizer import tokenizer_json
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from shared import artifacts
from shared.command import how_to_run

TRAIN = "phase01_foundation.project02_tokenizer.train"


def load(name: str = "bpe-10k") -> Tokenizer[Any]:
    """A trained tokenizer by name, the learner's own before a released one.

    Raises ArtifactError when there is neither, FormatError for one that is no tokenizer of this project.
    """
    artifact = artifacts.find(name, command=f"{how_to_run(TRAIN)} --name {name}")
    if "tokenizer" not in artifact.config:
        raise tokenizer_json.FormatError(f"{name} is no tokenizer of this project")
    return tokenizer_json.from_json(artifact.config["tokenizer"])
