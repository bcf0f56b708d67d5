"""The small package that every project of LLM Ladder stands on."""

import os

# OpenMP's threads wait for each other by spinning, unless told otherwise before torch is loaded. On a laptop where
# anything else runs, they spin while the one they wait for has no core: a training step then takes 3 to 10 times as
# long. Threads that sleep instead cost an idle machine next to nothing.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
