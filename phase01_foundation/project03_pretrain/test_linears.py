from typing import Any

import pytest
import torch
from torch import nn

from phase01_foundation.project03_pretrain.given.example import TINY, example
from phase01_foundation.project03_pretrain.linears import replace_linears
from shared.testing import raises


class Twice(nn.Module):
    """Something other than a linear layer, with the layer inside."""

    def __init__(self, linear):
        super().__init__()
        self.linear = linear

    def forward(self, x):
        return 2 * self.linear(x)


@pytest.mark.task(4)
def test_the_rule_is_asked_about_every_linear_layer_by_name():
    asked = []
    model, _ = example()
    assert replace_linears(model, lambda name, linear: asked.append((name, linear.out_features))) == []
    block = {"q": 16, "k": 8, "v": 8, "out": 16, "gate": 24, "up": 24, "down": 16}
    parts = [(part, "attention" if part in ("q", "k", "v", "out") else "feed_forward") for part in block]
    expected = [
        (f"blocks.{layer}.{where}.{part}", block[part]) for layer in range(2) for part, where in parts
    ]
    assert asked == [*expected, ("head", 11)]


@pytest.mark.task(4)
def test_what_the_rule_returns_takes_the_layers_place():
    model, tokens = example()
    expected = 2 * model(tokens)
    assert replace_linears(model, lambda name, linear: Twice(linear) if name == "head" else None) == ["head"]
    torch.testing.assert_close(model(tokens), expected)
    names = replace_linears(model, lambda name, linear: nn.Linear(linear.in_features, linear.out_features))
    assert len(names) == 15
    assert names[-1] == "head.linear"
    assert model(tokens).shape == (3, 16, TINY.vocab_size)


@pytest.mark.task(4)
def test_a_layer_in_two_places_is_asked_about_once_and_replaced_in_both():
    shared = nn.Linear(2, 2)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    asked = []

    def rule(name, linear):
        asked.append(name)
        return Twice(linear)

    assert replace_linears(model, rule) == ["0", "2"]
    assert asked == ["0"]
    assert model[0] is model[2]


@pytest.mark.task(4)
def test_a_rule_that_raises_or_returns_no_module_changes_nothing():
    model, tokens = example()
    before = model(tokens)

    def wrong(name, linear) -> Any:
        return "no module" if name == "head" else Twice(linear)

    with raises(TypeError, "head"):
        replace_linears(model, wrong)
    assert torch.equal(model(tokens), before)


@pytest.mark.task(4)
def test_a_model_that_is_one_linear_layer_is_refused():
    with raises(ValueError):
        replace_linears(nn.Linear(2, 2), lambda name, linear: None)
