"""A short part of what `ladder run 13 fuzz` does at length."""

import pytest

from phase04_advanced_inference.project13_paged_attention.given.fuzzing import SETTINGS, ManagerFuzz, fuzz


@pytest.mark.parametrize("seed", range(3))
def test_the_manager(seed):
    counts = ManagerFuzz(seed, host=8 * (seed > 0)).run(1500).counts
    assert all(counts[name] for name in ("admitted", "hit", "grown", "refused", "forked", "ended"))
    assert bool(counts["swapped"]) == (seed > 0)


@pytest.mark.parametrize("number", range(len(SETTINGS)))
def test_the_engine(number):
    counts = fuzz(SETTINGS[number], 120, seed=number).counts
    assert counts["ended"]
    assert counts["refused"]
