import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from phase02_finetuning.project05_lora.adapters import add_adapter, train_only
from phase02_finetuning.project05_lora.given.example import TINY, random_model, random_tokens, trained
from phase02_finetuning.project05_lora.lora import LoRA, LoraConfig, LoRALinear, lora_layers
from phase02_finetuning.project05_lora.merging import merge, merge_and_unload, merged_linear, unmerge
from shared.testing import raises

CONFIG = LoraConfig(rank=3, alpha=6.0)


def adapted(config=CONFIG, dtype=torch.float32):
    """A model with a trained adapter "default", tokens, what its base says of them, and what it says."""
    model, tokens = random_model(dtype=dtype), random_tokens()
    base = model(tokens)
    assert add_adapter(model, config)
    trained(model)
    return model, tokens, base, model(tokens)


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=2e-5, atol=2e-5)


@pytest.mark.task(3)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.floats(0.5, 8), st.booleans())
@settings(max_examples=30)
def test_the_merged_weight_is_the_base_and_the_scaled_product(inputs, outputs, rank, alpha, rslora):
    torch.manual_seed(0)
    config = LoraConfig(rank=rank, alpha=alpha, rslora=rslora)
    base = nn.Linear(inputs, outputs, dtype=torch.float64)
    adapter = LoRA(base, config)
    nn.init.normal_(adapter.B)
    before = base.weight.detach().clone()
    scaling = alpha / rank**0.5 if rslora else alpha / rank
    merged = adapter.merged_weight(base.weight)
    torch.testing.assert_close(merged, before + scaling * (adapter.B @ adapter.A).detach())
    assert torch.equal(base.weight, before)
    assert not merged.requires_grad


@pytest.mark.task(3)
def test_it_is_rounded_once():
    torch.manual_seed(0)
    adapter = LoRA(nn.Linear(64, 64).bfloat16(), LoraConfig(rank=4))
    nn.init.normal_(adapter.B, std=0.02)
    weight = torch.randn(64, 64).bfloat16()
    merged = adapter.merged_weight(weight)
    assert merged.dtype == torch.bfloat16
    exact = weight.double() + 4.0 * (adapter.B.double() @ adapter.A.double())
    nearest = exact.float().bfloat16()
    assert (merged != nearest).float().mean() < 0.01, "float32 sums may fall on another side of a tie"


@pytest.mark.task(3)
def test_merged_is_unmerged_and_merging_twice_is_merging_once():
    model, tokens, base, expected = adapted()
    assert (expected - base).abs().max() > 0.1
    merge(model)
    once = model(tokens)
    close(once, expected)
    assert not torch.equal(once, expected), "another way to compute it, or nothing was merged"
    merge(model)
    assert torch.equal(model(tokens), once)
    merge(model, "default")
    assert torch.equal(model(tokens), once)


@pytest.mark.task(3)
def test_unmerging_gives_every_bit_back():
    model, tokens, base, expected = adapted()
    weights = copy.deepcopy(model.state_dict())
    for _ in range(20):
        merge(model)
        unmerge(model)
    found = model.state_dict()
    assert list(found) == list(weights)
    assert all(torch.equal(found[name], tensor) for name, tensor in weights.items())
    assert torch.equal(model(tokens), expected)
    for layer in lora_layers(model).values():
        layer.chosen = None
    assert torch.equal(model(tokens), base)


@pytest.mark.task(3)
def test_unmerging_what_is_not_merged_does_nothing():
    model, tokens, _, expected = adapted()
    unmerge(model)
    unmerge(model, "default")
    assert torch.equal(model(tokens), expected)


@pytest.mark.task(3)
def test_while_merged_the_base_is_still_there_for_whoever_asks():
    model, tokens, base, expected = adapted()
    merge(model)
    for layer in lora_layers(model).values():
        layer.chosen = None
    assert torch.equal(model(tokens), base)
    for layer in lora_layers(model).values():
        layer.chosen = "default"
    close(model(tokens), expected)


@pytest.mark.task(3)
def test_merging_the_second_adapter_merges_the_second():
    model, tokens, _, first = adapted()
    add_adapter(model, LoraConfig(rank=2, targets=("q", "up")), "second")
    trained(model, "second", seed=8)
    second = model(tokens)
    merge(model, "second")
    close(model(tokens), second)
    merge(model, "default")
    close(model(tokens), second)
    for layer in lora_layers(model).values():
        layer.chosen = "default"
    close(model(tokens), first)
    unmerge(model, "default")
    assert torch.equal(model(tokens), first)
    for layer in lora_layers(model).values():
        layer.chosen = "second"
    merged = model(tokens)
    close(merged, second)
    unmerge(model)
    assert torch.equal(model(tokens), second)
    assert not torch.equal(merged, second), "it was still merged"


@pytest.mark.task(3)
def test_merging_anew_takes_the_numbers_of_now():
    model, tokens, _, before = adapted()
    merge(model)
    trained(model, seed=9)
    close(model(tokens), before)
    merge(model)
    after = model(tokens)
    unmerge(model)
    close(after, model(tokens))
    assert (after - before).abs().max() > 0.1


@pytest.mark.task(3)
@pytest.mark.parametrize("merged_before", [False, True])
def test_unloaded_it_is_a_plain_model_that_says_the_same(merged_before):
    model, tokens, _, expected = adapted()
    if merged_before:
        merge(model)
    plain = merge_and_unload(model)
    assert plain is model
    assert list(model.state_dict()) == list(random_model().state_dict())
    assert not any(isinstance(module, LoRALinear) for module in model.modules())
    close(model(tokens), expected)


@pytest.mark.task(3)
def test_layers_without_the_adapter_get_their_base_back():
    model, tokens, base, _ = adapted()
    bases = {place: layer.base for place, layer in lora_layers(model).items()}
    add_adapter(model, LoraConfig(rank=2, targets=("q",)), "small")
    trained(model, "small")
    expected = model(tokens)
    merge_and_unload(model, "small")
    close(model(tokens), expected)
    for place, layer in bases.items():
        assert (model.get_submodule(place) is layer) == (not place.endswith(".q"))
    assert (expected - base).abs().max() > 0.01


@pytest.mark.task(3)
def test_a_layer_in_two_places_stays_one():
    torch.manual_seed(0)
    shared = nn.Linear(4, 4)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    add_adapter(model, LoraConfig(rank=2, targets=("0",)))
    trained(model)
    x = torch.randn(3, 4)
    expected = model(x)
    merge_and_unload(model)
    close(model(x), expected)
    assert model[0] is model[2]
    assert model[0].bias is shared.bias


@pytest.mark.task(3)
def test_a_merged_layer_asks_for_no_gradient():
    model, tokens, _, _ = adapted()
    train_only(model)
    merge(model)
    assert not model(tokens).requires_grad
    unmerge(model)
    assert model(tokens).requires_grad


@pytest.mark.task(3)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_a_merged_layer_is_a_linear_layer_like_its_base(training, bias):
    torch.manual_seed(0)
    layer = LoRALinear(nn.Linear(5, 3, bias=bias))
    layer.adapters["mine"] = LoRA(layer.base, LoraConfig(rank=2))
    layer.train(training)
    merged = merged_linear(layer, "mine")
    assert type(merged) is nn.Linear
    assert (merged.in_features, merged.out_features) == (5, 3)
    assert merged.weight.shape == (3, 5)
    assert merged.bias is layer.base.bias
    assert merged.training == training
    assert not any(one.requires_grad for one in merged.parameters())


@pytest.mark.task(3)
def test_which_adapter_must_be_clear():
    model, _, _, _ = adapted()
    for action in (merge, unmerge, merge_and_unload):
        with raises(ValueError, "nobody", "default"):
            action(model, "nobody")
    for layer in lora_layers(model).values():
        layer.chosen = None
    for action in (merge, merge_and_unload):
        with raises(ValueError):
            action(model)
    with raises(ValueError):
        merge(random_model(TINY))
