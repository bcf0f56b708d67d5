import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phase02_finetuning.project04_sft.schedule import cosine
from shared.testing import raises

task = pytest.mark.task(8)


@task
def test_up_in_a_line_and_down_along_a_cosine():
    found = [cosine(step, 8, warmup=4) for step in range(8)]
    root = math.sqrt(0.5)
    assert found == pytest.approx([0.25, 0.5, 0.75, 1, 1, (1 + root) / 2, 0.5, (1 - root) / 2])


@task
def test_it_falls_to_the_floor():
    assert cosine(5, 10, floor=0.2) == pytest.approx(0.6)
    assert cosine(0, 10, floor=0.2) == 1
    assert 0.2 < cosine(999, 1000, floor=0.2) < 0.20001
    assert [cosine(step, 3, floor=1.0) for step in range(3)] == [1, 1, 1]


@task
@given(steps=st.integers(1, 200), data=st.data())
def test_it_rises_then_falls_and_never_is_zero(steps, data):
    warmup = data.draw(st.integers(0, steps))
    path = [cosine(step, steps, warmup) for step in range(steps)]
    assert all(0 < share <= 1 for share in path)
    assert path[:warmup] == pytest.approx([(step + 1) / warmup for step in range(warmup)])
    assert all(
        a >= b for a, b in zip(path[max(0, warmup - 1) :], path[max(0, warmup - 1) + 1 :], strict=False)
    )
    assert max(path) == 1


@task
def test_it_equals_the_schedules_of_transformers():
    schedules = pytest.importorskip("transformers.optimization", reason="transformers is the peer")
    for warmup, floor in ((0, 0.0), (7, 0.0), (7, 0.1)):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        theirs = schedules.get_cosine_with_min_lr_schedule_with_warmup(
            optimizer, warmup, 30, min_lr_rate=floor
        )
        rate = theirs.lr_lambdas[0]
        # Their warm-up begins with a step at rate 0, which is lost.
        assert [cosine(step, 30, warmup, floor) for step in range(warmup)] == pytest.approx(
            [(step + 1) / warmup for step in range(warmup)]
        )
        assert [cosine(step, 30, warmup, floor) for step in range(warmup, 30)] == pytest.approx(
            [rate(step) for step in range(warmup, 30)]
        )


@task
@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        ((10, 10), (10, 9)),
        ((-1, 10), (-1, 9)),
        ((0, 10, 11), (11, 10)),
        ((0, 10, -1), (-1, 10)),
        ((0, 10, 0, 1.5), (1.5,)),
        ((0, 10, 0, -0.1), (-0.1,)),
    ],
)
def test_what_is_out_of_range_is_named(arguments, facts):
    with raises(ValueError, *facts):
        cosine(*arguments)
