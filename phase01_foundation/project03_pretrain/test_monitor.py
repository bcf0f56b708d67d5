import math
import random
import re
from itertools import chain

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from phase01_foundation.project03_pretrain.model import LLM, Config
from phase01_foundation.project03_pretrain.monitor import DivergedError, Monitor, flops_per_token
from phase01_foundation.project03_pretrain.step import Step
from shared import checkpoint
from shared.testing import raises

task = pytest.mark.task(7)


def good(loss=3.0, norm=1.0):
    return Step(loss, norm, applied=True)


BAD = Step(math.nan, math.inf, applied=False)


def names(text, *numbers):
    """Whether a text names these numbers, to a hundredth."""
    found = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)]
    return all(any(abs(one - number) < 0.011 for one in found) for number in numbers)


def noisy(seed, steps=2000):
    """A run as runs are: the loss falls from 8 to 2 with noise, the norm is a positive number, now and then large."""
    draw = random.Random(seed)
    for step in range(steps):
        loss = 2 + 6 * math.exp(-step / 200) + draw.gauss(0, 0.05)
        yield good(loss, math.exp(draw.gauss(0, 0.4)))


def settled(loss=3.0, norm=1.0, steps=30):
    monitor = Monitor()
    for step in range(steps):
        assert monitor.update(good(loss + 0.01 * (-1) ** step, norm)) == []
    return monitor


@task
@pytest.mark.parametrize("seed", range(5))
def test_a_noisy_run_is_no_alarm(seed):
    monitor = Monitor()
    assert [odd for step in noisy(seed) for odd in monitor.update(step)] == []
    assert (monitor.loss_spikes, monitor.gradient_spikes, monitor.skipped) == (0, 0, 0)


@task
def test_a_loss_spike_is_seen_once_it_is_out_of_the_ordinary():
    for jump, spikes in (
        (0.05, 0),
        (0.09, 0),
        (0.12, 1),
        (5.0, 1),
    ):  # six deviations of 0.01 are less than 0.1
        monitor = settled()
        odd = monitor.update(good(3.0 + jump))
        assert monitor.loss_spikes == spikes == len(odd), jump
    assert "loss" in odd[0]
    assert names(odd[0], 8.0, 3.0)
    assert monitor.gradient_spikes == 0


@task
def test_where_the_loss_jumps_about_a_spike_must_be_larger():
    for loss, spikes in ((8.9, 0), (9.0, 0), (9.1, 1)):  # more than six deviations, which 9.0 is not
        monitor = Monitor()
        for step in range(64):
            monitor.update(good(3.0 + (-1) ** step))  # deviation 1, median 3
        assert len(monitor.update(good(loss))) == spikes


@task
def test_a_gradient_spike_is_ten_times_the_usual_norm():
    monitor = settled(norm=2.0)
    assert monitor.update(good(norm=19.9)) == []
    assert monitor.update(good(norm=20.0)) == []
    [odd] = monitor.update(good(norm=20.1))
    assert "gradient" in odd
    assert names(odd, 20.1, 2.0)
    assert (monitor.loss_spikes, monitor.gradient_spikes) == (0, 1)
    assert len(settled(norm=0.01).update(good(norm=0.11))) == 1, "a small norm has its spikes too"
    still = settled(norm=0.0)  # frozen at first, say: what is ten times nothing?
    assert still.update(good(norm=1.0)) == []


@task
def test_the_first_steps_are_watched_only():
    monitor = Monitor()
    for loss in (9.0, 8.0, 30.0, 7.0, 50.0):
        assert monitor.update(good(loss, loss)) == []
    for steps, spikes in ((15, 0), (16, 2)):
        assert len(settled(steps=steps).update(good(5.0, 50.0))) == spikes


@task
def test_what_is_usual_follows_the_last_64_steps():
    monitor = settled(loss=3.0, steps=100)
    for _ in range(64):
        monitor.update(good(5.0))
    assert monitor.loss_spikes > 0
    assert monitor.update(good(5.0)) == []
    [odd] = monitor.update(good(5.11))
    assert names(odd, 5.11, 5.0)


@task
def test_skipped_steps_are_told_and_do_not_count_as_usual():
    monitor = settled()
    [odd] = monitor.update(BAD)
    assert "nan" in odd
    [odd] = monitor.update(Step(2.5, math.inf, applied=False))
    assert names(odd, 2.5)
    assert monitor.update(good()) == []
    assert monitor.skipped == 2
    assert all(math.isfinite(number) for number in [*monitor.losses, *monitor.norms])


@task
def test_ten_skipped_steps_in_a_row_end_the_run():
    monitor = settled()
    for _ in range(3):  # nine in a row, with a good one between
        for _ in range(9):
            assert len(monitor.update(BAD)) == 1
        monitor.update(good())
    for _ in range(9):
        monitor.update(BAD)
    with raises(DivergedError, (10, "ten"), "nan"):
        monitor.update(BAD)
    assert monitor.skipped == 37


STEPS = st.lists(
    st.builds(Step, st.floats(0, 10), st.floats(0, 100), st.just(True)) | st.just(BAD), max_size=15
)


@task
@settings(max_examples=50)
@given(st.lists(STEPS | st.just([BAD] * 11), max_size=4), st.integers(0, 140))
def test_a_monitor_restored_sees_what_the_first_one_would(tmp_path_factory, parts, stop):
    def watch(monitor, part):
        seen = []
        for step in part:
            try:
                seen.append(monitor.update(step))
            except DivergedError as end:
                seen.append(str(end))
        return seen

    steps = [*noisy(0, 70), *chain(*parts)]  # so that the windows are full
    whole, first, second = Monitor(), Monitor(), Monitor()
    expected = watch(whole, steps)
    found = watch(first, steps[:stop])
    path = tmp_path_factory.getbasetemp() / "monitor.safetensors"
    checkpoint.write(path, first.state_dict())
    second.load_state_dict(checkpoint.read(path))
    assert found + watch(second, steps[stop:]) == expected
    assert second == whole


SHAPES = [
    Config(50, 16, layers=2, heads=2, kv_heads=2, dim=16, hidden_dim=40),
    Config(70, 8, layers=3, heads=4, kv_heads=2, dim=16, hidden_dim=24, tied_embeddings=True, qk_norm=True),
    Config(30, 8, layers=1, heads=4, kv_heads=1, dim=16, hidden_dim=64, activation="squared_relu"),
    Config(30, 8, layers=2, heads=3, kv_heads=1, dim=16, hidden_dim=24, head_dim=6),
]


def all_scores(layer, q, k, v):
    """Attention with two whole products: project 1's may be written in another right way, which counts others."""
    k, v = (heads.repeat_interleave(q.shape[1] // heads.shape[1], dim=1) for heads in (k, v))
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(future, float("-inf")).softmax(-1) @ v


@task
@pytest.mark.parametrize("config", SHAPES, ids=["plain", "grouped and tied", "no gate", "own head width"])
def test_it_is_what_torch_counts_going_forward_and_back(config):
    """Every matrix product of a step, where attention makes all scores, as the formula counts them."""
    model, tokens = LLM(config), torch.zeros(3, config.context_length, dtype=torch.int64)
    counter = FlopCounterMode(display=False)
    with counter:
        model(tokens, attend=all_scores).sum().backward()
    assert flops_per_token(config) == counter.get_total_flops() / tokens.numel()


@task
def test_a_long_context_costs_its_attention():
    """The known size of things: GPT-2 small at 1024 takes 6 × its weights, and an eighth more for attention."""
    small = Config(50257, 1024, 12, 12, 12, 768, 3072, activation="squared_relu", tied_embeddings=True)
    with torch.device("meta"):
        weights = sum(p.numel() for p in LLM(small).parameters() if p.ndim == 2)
    assert flops_per_token(small) == 6 * weights + 12 * 12 * 768 * 1024
