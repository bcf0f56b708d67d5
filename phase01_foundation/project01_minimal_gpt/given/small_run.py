"""A training run of seconds, on a few sentences: what the tests of the commands train."""

from io import StringIO
from typing import Any

from rich.console import Console

from phase01_foundation.project01_minimal_gpt.given.run import Run
from phase01_foundation.project01_minimal_gpt.given.settings import TrainConfig
from phase01_foundation.project01_minimal_gpt.train import train
from shared.artifacts import Artifact

TEXT = "The cat sat on the mat. The dog sat on the log. " * 40
TINY: dict[str, Any] = {
    "corpus": "shakespeare",
    "fallback": None,
    "context_length": 8,
    "layers": 1,
    "heads": 1,
    "dim": 8,
    "batch_size": 4,
    "steps": 12,
    "warmup": 2,
    "evaluate_every": 5,
    "dropout": 0.1,
    "prompt": "T",
    "dtype": "float32",
    "threads": 1,
    "device": "cpu",
    "name": "test",
}


class Sentences:
    """A corpus, as shared.corpora has them."""

    name = "cats and dogs"

    def split(self, name: str) -> str:
        return {"train": TEXT, "validation": TEXT[:300]}[name]


def quiet(file: StringIO | None = None) -> Console:
    """A console that prints into `file`, or for nobody."""
    return Console(file=file or StringIO())


def run(**changes: Any) -> tuple[Run, Artifact]:
    """Train on the tiny settings, but for these changes."""
    return train(TrainConfig(**{**TINY, **changes}), quiet())
