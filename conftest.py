"""Tests run with shapes checked (jaxtyping) and with one thread a worker: `pytest -n 2` uses both cores."""

import os
from pathlib import Path

# Two OpenMP teams on two cores wait for each other by spinning; one thread a worker does not.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from hypothesis import settings
from jaxtyping import install_import_hook

import shared.typechecker  # the hook finds it by name, once it is imported

ROOT = Path(__file__).parent
sources = [path for folder in ("shared", "phase??_*") for path in ROOT.glob(f"{folder}/**/*.py")]
modules = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sources
    # Not the tests: their modules belong to pytest, which makes a failing assert show its values. Nor a package:
    # its name stands for all that is in it.
    if not path.name.startswith(("test_", "conftest", "__"))
]
install_import_hook(modules, f"{shared.typechecker.__name__}.check")

settings.register_profile("ladder", deadline=None)  # a deadline would be a wall-clock assertion
settings.load_profile("ladder")
