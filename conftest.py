"""Tests run with shapes checked (jaxtyping) and with one thread a worker: `pytest -n 2` uses both cores."""

import os
from pathlib import Path

# Two OpenMP teams on two cores wait for each other by spinning; one thread a worker does not.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from jaxtyping import install_import_hook

phases = sorted(path.name for path in Path(__file__).parent.glob("phase??_*"))
install_import_hook(["shared", *phases], "beartype.beartype")
