"""Plans against all plans there are; damage measured one layer at a time, with the model left as it was."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from phase05_quantization.project14_ptq.given.damage import loss_on
from phase05_quantization.project14_ptq.given.example import random_model, random_tokens
from phase05_quantization.project14_ptq.given.methods import linear_at
from phase05_quantization.project14_ptq.grids import Grid, nearest
from phase05_quantization.project14_ptq.plan import choose_bits, measure_damage
from phase05_quantization.project14_ptq.quant_linear import QuantLinear
from shared.testing import raises

task = pytest.mark.task(11)
layers = st.lists(
    st.lists(st.tuples(st.floats(-1, 10), st.integers(1, 9)), min_size=1, max_size=3), min_size=0, max_size=5
)


def tables(found):
    damage = {f"layer {i}": {bits: one[0] for bits, one in enumerate(row)} for i, row in enumerate(found)}
    size = {f"layer {i}": {bits: one[1] for bits, one in enumerate(row)} for i, row in enumerate(found)}
    return damage, size


def all_plans(damage):
    for chosen in itertools.product(*damage.values()):
        yield dict(zip(damage, chosen, strict=True))


def total(table, plan):
    return sum(table[name][bits] for name, bits in plan.items())


@task
@given(layers, st.integers(0, 40))
@settings(max_examples=150, deadline=None)
def test_no_plan_that_fits_is_better(found, more):
    damage, size = tables(found)
    budget = sum(min(one.values()) for one in size.values()) + more
    plan = choose_bits(damage, size, budget)
    assert list(plan) == list(damage)
    assert total(size, plan) <= budget
    best = min(total(damage, other) for other in all_plans(damage) if total(size, other) <= budget)
    assert total(damage, plan) == pytest.approx(best, abs=1e-9)


@task
def test_bytes_go_where_they_help_most():
    damage = {"deep": {2: 5.0, 4: 0.5, 8: 0.0}, "flat": {2: 0.3, 4: 0.1, 8: 0.0}}
    size = {name: {2: 200, 4: 400, 8: 800} for name in damage}
    assert choose_bits(damage, size, 400) == {"deep": 2, "flat": 2}
    assert choose_bits(damage, size, 799) == {"deep": 4, "flat": 2}
    assert choose_bits(damage, size, 1000) == {"deep": 8, "flat": 2}
    assert choose_bits(damage, size, 1600) == {"deep": 8, "flat": 8}


@task
def test_many_layers_of_few_shapes_are_planned_at_once():
    generator = torch.Generator().manual_seed(0)
    damage = {
        str(i): {bits: torch.rand(1, generator=generator).item() / bits for bits in (2, 3, 4, 8)}
        for i in range(42)
    }
    size = {name: {bits: bits * (1 + int(name) % 3) * 1000 for bits in (2, 3, 4, 8)} for name in damage}
    budget = sum(one[4] for one in size.values())
    plan = choose_bits(damage, size, budget)
    assert total(size, plan) <= budget
    assert total(damage, plan) < sum(one[4] for one in damage.values())


@task
def test_the_budget_may_be_met_exactly():
    assert choose_bits({"a": {2: 1.0, 4: 0.0}}, {"a": {2: 10, 4: 20}}, 20) == {"a": 4}


@task
def test_a_budget_too_small_is_refused():
    with raises(ValueError, 30, 29):
        choose_bits({"a": {2: 1.0, 4: 0.0}, "b": {2: 1.0}}, {"a": {2: 10, 4: 20}, "b": {2: 20}}, 29)


@task
def test_tables_that_do_not_fit_each_other_are_refused():
    with raises(ValueError, "b"):
        choose_bits({"a": {2: 1.0}, "b": {2: 1.0}}, {"a": {2: 1}}, 9)
    with raises(ValueError, "a"):
        choose_bits({"a": {2: 1.0}}, {"a": {2: 1, 4: 2}}, 9)
    with raises(ValueError, "c"):
        choose_bits({}, {"c": {2: 1}}, 9)
    with raises(ValueError, "a"):
        choose_bits({"a": {}}, {"a": {}}, 9)
    with raises(ValueError, "b"):
        choose_bits({"a": {2: 1.0}, "b": {2: float("nan")}}, {"a": {2: 1}, "b": {2: 1}}, 9)


NAMES = ["blocks.0.attention.q", "blocks.1.feed_forward.down"]


def rounded(linear, bits):
    return nearest(linear.weight, Grid(bits, 8))


@task
def test_each_layer_is_quantized_alone():
    model, seen = random_model(), []
    before = {name: linear_at(model, name) for name in NAMES}
    loss = loss_on(random_tokens())

    def watched(one):
        seen.append([name for name in NAMES if isinstance(one.get_submodule(name), QuantLinear)])
        return loss(one)

    found = measure_damage(model, NAMES, [2, 4], rounded, watched)
    assert seen == [[], [NAMES[0]], [NAMES[0]], [NAMES[1]], [NAMES[1]]]
    assert [(name, list(one)) for name, one in found.items()] == [(name, [2, 4]) for name in NAMES]
    assert all(model.get_submodule(name) is layer for name, layer in before.items())
    whole = loss(model)
    for name in NAMES:
        model.set_submodule(name, QuantLinear(before[name], rounded(before[name], 2)))
        assert found[name][2] == pytest.approx(loss(model) - whole, abs=1e-6)
        model.set_submodule(name, before[name])


@task
def test_a_layer_is_put_back_where_measuring_fails():
    model = random_model()
    layer = model.get_submodule(NAMES[0])

    def fails(one):
        if isinstance(one.get_submodule(NAMES[0]), QuantLinear):
            raise KeyError("no")
        return 1.0

    with pytest.raises(KeyError):
        measure_damage(model, NAMES, [2], rounded, fails)
    assert model.get_submodule(NAMES[0]) is layer


@task
def test_what_is_no_linear_layer_is_refused():
    with raises(ValueError, "norm"):
        measure_damage(random_model(), ["norm"], [2], rounded, lambda model: 0.0)
    assert isinstance(random_model().head, nn.Linear)
