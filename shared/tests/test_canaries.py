"""Canaries are twins of tests: right code fails them, and nothing in their names tells them apart."""

import ast
import random
import types

import pytest

from shared.ladder.grading.canaries import Disguise, disguise, tasks_of

TESTS = '''
import pytest
import torch
from torch.testing import assert_close

first, second = pytest.mark.task(1), pytest.mark.task(2)
third = pytest.mark.task(3)


def helper(value):
    return value


@first
def test_equal():
    assert helper(3) == 3


@first
@pytest.mark.parametrize("value", [1.0, 2.0])
def test_close(value):
    assert_close(torch.tensor(helper(value)), torch.tensor(value))


@second
def test_raises():
    with pytest.raises(ValueError):
        int("x")


@pytest.mark.task(3)
def test_truth():
    """A docstring."""
    assert helper(True), "a message"


@third
def test_used_by_another():
    assert not helper(False)


def test_of_no_task():
    test_used_by_another()
    assert helper(1) == 1
'''


def disguised(seed=0, text=TESTS):
    names = Disguise()
    text = disguise(text, random.Random(seed), names)
    space = types.ModuleType("tests").__dict__
    exec(compile(text, "tests", "exec"), space)
    return text, names, space


def test_every_test_passes_still_and_every_canary_fails():
    text, names, space = disguised()
    assert sorted(names.real.values()) == [
        "test_close", "test_equal", "test_of_no_task", "test_raises", "test_truth", "test_used_by_another",
    ]  # fmt: skip
    for name in names.real:
        arguments = {"value": 1.0} if names.real[name] == "test_close" else {}
        space[name](**arguments)
    assert set(names.canaries.values()) == {"", *names.real.values()} - {"test_of_no_task"}
    for name, twin in names.canaries.items():
        arguments = {"value": 1.0} if twin == "test_close" else {}
        with pytest.raises((AssertionError, ValueError)):
            space[name](**arguments)
    tasks = tasks_of(ast.parse(text))
    own = tasks_of(ast.parse(TESTS))
    assert {tasks[name] for name in names.canaries} == {1, 2, 3}
    assert all(tasks[name] == own[twin] for name, twin in (names.real | names.canaries).items() if twin)


def test_names_are_drawn_anew_and_tell_nothing():
    _, first, _ = disguised(1)
    _, second, _ = disguised(2)
    assert not first.real.keys() & second.real.keys() - {"test_used_by_another"}
    assert not first.canaries.keys() & second.canaries.keys()
    old = {*first.real.values()} - {"test_used_by_another"}
    assert not old & (first.real.keys() | first.canaries.keys())


def test_a_mark_for_the_whole_file_counts():
    text, names, _ = disguised(
        text="import pytest\npytestmark = pytest.mark.task(4)\ndef test_a():\n    assert 1 == 1\n"
    )
    assert set(tasks_of(ast.parse(text)).values()) == {4}
    assert len(names.canaries) == 2
