"""For all tests: shapes are checked (jaxtyping), a worker has one thread, and `own_folders` is there to use."""

import os
from pathlib import Path

# Two OpenMP teams on two cores wait for each other by spinning; one thread a worker does not: `pytest -n 2` uses both.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
from hypothesis import settings

from shared.ladder.typechecker import check_shapes

check_shapes(Path(__file__).resolve().parent)

settings.register_profile("ladder", deadline=None)  # a deadline would be a wall-clock assertion
settings.load_profile("ladder")


@pytest.fixture
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `data` and `work` for this test alone, no mirror, no download: nothing of the learner's is touched.

    For all tests of a file: `pytestmark = pytest.mark.usefixtures("own_folders")`.
    """
    monkeypatch.setenv("LADDER_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LADDER_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("LADDER_OFFLINE", "1")
    monkeypatch.delenv("LADDER_DATA_MIRROR", raising=False)
    return tmp_path
