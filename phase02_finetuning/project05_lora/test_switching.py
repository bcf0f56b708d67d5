from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from phase02_finetuning.project05_lora.adapters import add_adapter, train_only
from phase02_finetuning.project05_lora.given.example import random_model, random_tokens, trained
from phase02_finetuning.project05_lora.lora import LoRA, LoraConfig, LoRALinear, lora_layers
from phase02_finetuning.project05_lora.switching import adapters_off, select_adapter, use_adapter
from shared.testing import raises


def served():
    """A model with two trained adapters on different layers, tokens, and what each (and None) says of them."""
    model, tokens = random_model(dtype=torch.float64), random_tokens(rows=4)
    said: dict[str | None, Tensor] = {None: model(tokens).detach()}
    for seed, (name, targets) in enumerate({"a": ("q", "up"), "b": ("q", "v", "down")}.items()):
        add_adapter(model, LoraConfig(rank=2, targets=targets, rslora=name == "b"), name)
        trained(model, name, seed)
        said[name] = model(tokens).detach()
    assert (said["a"] - said["b"]).abs().max() > 0.1
    return model, tokens, said


def chosen(model):
    return {layer.chosen for layer in lora_layers(model).values()}


def one_layer() -> Any:
    torch.manual_seed(0)
    layer: Any = LoRALinear(nn.Linear(6, 5).double())
    for name in "abm":
        layer.adapters[name] = LoRA(layer.base, LoraConfig(rank=2, targets=("q",)))
        nn.init.normal_(layer.adapters[name].B)
    layer.merged["m"] = nn.Linear(6, 5).double()
    return layer


@pytest.mark.task(4)
@given(st.lists(st.sampled_from([None, "a", "b", "m", "elsewhere"]), min_size=1, max_size=7), st.booleans())
@settings(max_examples=40)
def test_row_i_is_what_it_is_alone(names, flat):
    layer = one_layer()
    x = torch.randn((len(names), 6) if flat else (len(names), 3, 6), dtype=torch.float64)
    found = layer.by_row(x, tuple(names))
    for i, name in enumerate(names):
        torch.testing.assert_close(
            found[i], layer.with_adapter(x[i : i + 1], name)[0], rtol=1e-12, atol=1e-12
        )


@pytest.mark.task(4)
def test_a_base_reads_once_and_an_adapter_its_own_rows_once():
    layer = one_layer()
    calls = []
    for name, module in {"base": layer.base, **layer.adapters}.items():
        module.register_forward_hook(
            lambda module, inputs, output, name=name: calls.append((name, len(inputs[0])))
        )
    layer.by_row(torch.randn(5, 2, 6, dtype=torch.float64), ("b", "a", "b", None, "b"))
    assert sorted(calls) == [("a", 1), ("b", 3), ("base", 5)]


@pytest.mark.task(4)
@pytest.mark.parametrize("names", [("a",), ("a", "b", "a")])
def test_there_must_be_a_name_for_each_row(names):
    with raises(ValueError, len(names), 2):
        one_layer().by_row(torch.randn(2, 6, dtype=torch.float64), names)


@pytest.mark.task(4)
def test_gradients_reach_the_adapters_in_use():
    layer = one_layer()
    layer.by_row(torch.randn(3, 6, dtype=torch.float64), ("a", None, "a")).sum().backward()
    assert layer.adapters["a"].B.grad.abs().max() > 0
    assert layer.adapters["b"].B.grad is None


@pytest.mark.task(4)
def test_the_adapter_that_is_used_is_used():
    model, tokens, said = served()
    for name in ("a", "b", None, "a", None):
        use_adapter(model, name)
        assert torch.equal(model(tokens), said[name])
    assert chosen(model) == {None}


@pytest.mark.task(4)
def test_off_it_is_the_base_and_afterwards_what_it_was():
    model, tokens, said = served()
    use_adapter(model, "a")
    with adapters_off(model):
        assert torch.equal(model(tokens), said[None])
        with adapters_off(model):
            pass
        assert torch.equal(model(tokens), said[None])
    assert torch.equal(model(tokens), said["a"])
    with pytest.raises(KeyError), adapters_off(model):
        raise KeyError
    assert chosen(model) == {"a"}


@pytest.mark.task(4)
def test_off_a_model_still_trains_its_adapter_outside():
    model, tokens, said = served()
    train_only(model, "b")
    policy = model(tokens)
    with torch.no_grad(), adapters_off(model):
        reference = model(tokens)
    assert torch.equal(reference, said[None])
    (policy - reference).sum().backward()
    assert all(one.grad is not None for one in model.parameters() if one.requires_grad)


@pytest.mark.task(4)
def test_a_model_without_adapters_has_no_base_to_go_back_to():
    with raises(ValueError), adapters_off(random_model()):
        pytest.fail("the block began")


@pytest.mark.task(4)
@pytest.mark.parametrize("rows", [["a", "b", None, "a"], ("b", "b", "b", "b"), [None, None, None, "b"]])
def test_a_mixed_batch_says_what_each_row_says_alone(rows):
    model, tokens, said = served()
    use_adapter(model, "b")
    with select_adapter(model, rows):
        found = model(tokens)
    expected = torch.stack([said[name][i] for i, name in enumerate(rows)])
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    assert chosen(model) == {"b"}, "the next request has its own again"


@pytest.mark.task(4)
def test_what_fails_inside_leaves_no_adapter_behind():
    model, tokens, said = served()
    use_adapter(model, None)
    with raises(ValueError, 2, 4), select_adapter(model, ["a", "b"]):
        model(tokens)
    assert torch.equal(model(tokens), said[None])


@pytest.mark.task(4)
def test_blocks_may_lie_in_each_other():
    model, tokens, said = served()
    with select_adapter(model, ["a"] * 4):
        with select_adapter(model, ["b"] * 4):
            torch.testing.assert_close(model(tokens), said["b"], rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(model(tokens), said["a"], rtol=1e-10, atol=1e-10)


@pytest.mark.task(4)
def test_adapters_there_are_not_are_refused_and_change_nothing():
    model, _, _ = served()
    use_adapter(model, "a")
    with raises(ValueError, "c", "a", "b"):
        use_adapter(model, "c")
    with raises(ValueError, "c", "a", "b"), select_adapter(model, ["a", "c"]):
        pytest.fail("the block began")
    with raises(ValueError), select_adapter(model, []):
        pytest.fail("the block began")
    assert chosen(model) == {"a"}
    with raises(ValueError, "a"):
        use_adapter(random_model(), "a")
