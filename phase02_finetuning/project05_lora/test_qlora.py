import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from phase02_finetuning.project05_lora.adapters import add_adapter, train_only
from phase02_finetuning.project05_lora.double_quant import dequantize_scales, quantize_scales
from phase02_finetuning.project05_lora.given.example import at, random_model, random_tokens, trained
from phase02_finetuning.project05_lora.lora import LoraConfig, lora_layers
from phase02_finetuning.project05_lora.merging import merge, merge_and_unload
from phase02_finetuning.project05_lora.nf4 import dequantize_nf4, quantize_nf4
from phase02_finetuning.project05_lora.qlora import NF4Linear, quantize_base
from phase02_finetuning.project05_lora.saving import load_adapter, save_adapter
from shared.artifacts import CheckpointError
from shared.phase01 import LLM, make_optimizers, training_step
from shared.testing import raises


def layers(double=True, bias=True, dtype=torch.float32):
    """An NF4Linear, and the plain layer that it should be: the same weight after four bits."""
    torch.manual_seed(0)
    plain = nn.Linear(48, 32, bias=bias, dtype=dtype)
    quantized = NF4Linear(plain, double=double)
    with torch.no_grad():
        plain.weight.copy_(quantized.dequantized(torch.float32))
    return quantized, plain.requires_grad_(False)


@pytest.mark.task(9)
def test_the_weight_is_that_of_the_codes():
    torch.manual_seed(0)
    plain = nn.Linear(48, 32)
    expected = dequantize_nf4(quantize_nf4(plain.weight))
    single = NF4Linear(plain, double=False)
    assert torch.equal(single.dequantized(torch.float32), expected)
    assert torch.equal(single.dequantized(torch.bfloat16), expected.bfloat16())
    double = NF4Linear(plain).dequantized(torch.float32)
    assert not torch.equal(double, expected)
    torch.testing.assert_close(double, expected, rtol=0.01, atol=0)
    other = NF4Linear(plain, block=16, double=False)
    assert torch.equal(other.dequantized(torch.float32), dequantize_nf4(quantize_nf4(plain.weight, 16)))


@pytest.mark.task(9)
def test_every_256_scales_have_a_scale_of_their_own():
    torch.manual_seed(0)
    plain = nn.Linear(200, 128)  # 400 blocks of 64
    with torch.no_grad():
        plain.weight[100:] *= torch.rand(28, 1) * 9
    quantized = quantize_nf4(plain.weight)
    expected = dequantize_nf4(replace(quantized, absmax=dequantize_scales(quantize_scales(quantized.absmax))))
    torch.testing.assert_close(NF4Linear(plain).dequantized(torch.float32), expected)


@pytest.mark.task(9)
@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_forward_and_gradient_are_those_of_the_plain_layer(bias, double):
    quantized, plain = layers(double, bias)
    x = torch.randn(3, 5, 48)
    one, other = (x.clone().requires_grad_() for _ in range(2))
    found, expected = quantized(one), plain(other)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    weights = torch.randn_like(found)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(one.grad, other.grad, rtol=1e-6, atol=1e-6)


@pytest.mark.task(9)
def test_the_gradient_by_finite_differences():
    quantized, _ = layers(dtype=torch.float64)
    x = torch.randn(2, 48, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(quantized, (x,), raise_exception=True) is True


@pytest.mark.task(9)
def test_no_weight_is_kept_for_the_way_back():
    quantized, plain = layers()
    kept = {}
    for name, layer in {"quantized": quantized, "plain": plain}.items():
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, sizes=sizes: sizes.append(tensor.numel()) or tensor, lambda tensor: tensor
        ):
            layer(torch.randn(3, 48, requires_grad=True))
        kept[name] = max(sizes, default=0)
    assert kept["plain"] == 48 * 32, "what autograd keeps of a product"
    assert kept["quantized"] < 48 * 32


@pytest.mark.task(9)
def test_the_layer_answers_in_the_inputs_dtype():
    quantized, plain = layers()
    x = torch.randn(4, 48)
    expected = F.linear(x.bfloat16(), plain.weight.bfloat16()) + plain.bias.bfloat16()
    found = quantized(x.bfloat16())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = quantized(x)
    assert under.dtype == torch.bfloat16
    torch.testing.assert_close(under, expected)


@pytest.mark.task(9)
def test_the_weight_is_made_in_the_dtype_that_the_product_has(monkeypatch):
    quantized, _ = layers()
    x, asked, real = torch.randn(4, 48), [], NF4Linear.dequantized
    monkeypatch.setattr(
        NF4Linear, "dequantized", lambda self, dtype: asked.append(dtype) or real(self, dtype)
    )
    quantized(x)
    quantized(x.bfloat16())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        quantized(x)
    assert asked == [torch.float32, torch.bfloat16, torch.bfloat16], "under autocast, autocast's"


@pytest.mark.task(9)
def test_a_step_back_under_autocast_gives_float32_gradients():
    quantized, _ = layers()
    x = torch.randn(4, 48, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = quantized(x).float().square().sum()
    loss.backward()
    assert x.grad is not None
    assert x.grad.dtype == torch.float32
    assert x.grad.abs().max() > 0


@pytest.mark.task(9)
def test_the_layers_of_the_blocks_are_quantized_and_the_head_is_not():
    model, tokens = random_model(), random_tokens()
    before = model(tokens)
    places = quantize_base(model)
    assert len(places) == 14
    assert all(place.startswith("blocks.") for place in places)
    assert all(isinstance(model.get_submodule(place), NF4Linear) for place in places)
    assert model.head.weight is model.embedding.weight
    assert not any(name in places for name, _ in model.named_parameters())
    after = model(tokens)
    assert not torch.equal(after, before)
    assert F.cosine_similarity(after.flatten(), before.flatten(), dim=0) > 0.9
    assert quantize_base(model) == []
    assert torch.equal(model(tokens), after)


@pytest.mark.task(9)
def test_what_is_kept_is_a_choice():
    model = random_model()
    places = quantize_base(model, keep=("head", "q", "feed_forward.down"), block=32, double=False)
    assert {place.rpartition(".")[2] for place in places} == {"k", "v", "out", "gate", "up"}
    layer = at(model, "blocks.0.attention.k")
    assert isinstance(layer, NF4Linear)
    assert (layer.block, layer.doubled) == (32, False)
    model = random_model()
    assert "head" in quantize_base(model, keep=())


@pytest.mark.task(9)
@pytest.mark.parametrize("first", ["base", "adapter"])
def test_adapters_go_over_it_before_or_after(first):
    model, tokens = random_model(), random_tokens()
    if first == "base":
        quantize_base(model)
    add_adapter(model, LoraConfig(rank=2))
    if first == "adapter":
        add_adapter(model, LoraConfig(rank=2, targets=("head",)), "on the head".replace(" ", "_"))
        assert len(quantize_base(model)) == 14
        assert not isinstance(model.head.base, NF4Linear), "kept, under adapters too"
    expected = random_model()
    quantize_base(expected)
    torch.testing.assert_close(model(tokens), expected(tokens))
    assert len(lora_layers(model)) == 14 + (first == "adapter")
    assert all(
        isinstance(layer.base, NF4Linear) for name, layer in lora_layers(model).items() if name != "head"
    )


@pytest.mark.task(9)
def test_merged_layers_stay_as_they_are():
    model, tokens = random_model(), random_tokens()
    add_adapter(model, LoraConfig(rank=2))
    trained(model)
    merge(model)
    expected = model(tokens)
    assert all(place.endswith(".base") for place in quantize_base(model))
    assert torch.equal(model(tokens), expected)


@pytest.mark.task(9)
def test_a_step_trains_the_adapter_and_no_bit_of_the_base():
    model, tokens = random_model(), random_tokens()
    quantize_base(model)
    add_adapter(model, LoraConfig(rank=2, alpha=8.0))
    train_only(model)
    before = copy.deepcopy(model.state_dict())
    optimizers = make_optimizers(model, "adamw")
    batch = {"tokens": tokens[:, :-1], "targets": tokens[:, 1:]}
    losses = [training_step(model, optimizers, batch, 2e-2).loss for _ in range(30)]
    assert losses[-1] < losses[0] - 0.2
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in before if ".adapters." in name}


@pytest.mark.task(9)
@pytest.mark.parametrize("dora", [False, True])
def test_merged_with_the_dequantized_weight_it_says_the_same(dora):
    model, tokens = random_model(), random_tokens()
    quantize_base(model)
    add_adapter(model, LoraConfig(rank=2, dora=dora))
    trained(model)
    expected = model(tokens)
    merge_and_unload(model)
    torch.testing.assert_close(model(tokens), expected, rtol=1e-4, atol=1e-4)
    assert list(model.state_dict()) == list(random_model().state_dict())


@pytest.mark.task(9)
def test_to_an_adapter_the_base_in_four_bits_is_another_one(tmp_path):
    model, tokens = random_model(), random_tokens()
    quantize_base(model)
    add_adapter(model, LoraConfig(rank=2))
    trained(model)
    save_adapter(model, tmp_path)
    with raises(CheckpointError, "any_base"):
        load_adapter(random_model(), tmp_path)
    other = random_model()
    quantize_base(other)
    load_adapter(other, tmp_path)
    assert torch.equal(other(tokens), model(tokens))


@pytest.mark.task(9)
def test_the_state_goes_into_another_model_and_casting_spares_the_scales():
    model, tokens = random_model(), random_tokens()
    quantize_base(model)
    other = random_model(seed=5)
    quantize_base(other)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(tokens), model(tokens))
    layer = at(model, "blocks.0.attention.q")
    assert isinstance(layer, NF4Linear)
    before = layer.dequantized(torch.float32)
    model.bfloat16()
    assert isinstance(model, LLM)
    assert torch.equal(layer.dequantized(torch.float32), before)
    assert layer.weight.dtype == torch.bfloat16
    assert model(tokens).isfinite().all()
