"""Equality with peft, and codes equal byte for byte to bitsandbytes'."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from phase02_finetuning.project05_lora.adapters import add_adapter
from phase02_finetuning.project05_lora.dora import DoRA
from phase02_finetuning.project05_lora.double_quant import dequantize_scales, quantize_scales
from phase02_finetuning.project05_lora.given.dynamic_map import dynamic_map
from phase02_finetuning.project05_lora.given.example import random_model, random_tokens, trained
from phase02_finetuning.project05_lora.given.peers import (
    HAS_BITSANDBYTES,
    HAS_PEFT,
    library,
    peft_layer,
    peft_model,
    transformers_model,
)
from phase02_finetuning.project05_lora.lora import LoRA, LoraConfig
from phase02_finetuning.project05_lora.nf4 import dequantize_nf4, nf4_levels, quantize_nf4
from phase02_finetuning.project05_lora.saving import load_adapter, save_adapter

# peft asks transformers by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
needs_peft = pytest.mark.skipif(not HAS_PEFT, reason="peft is not installed")
needs_bitsandbytes = pytest.mark.skipif(not HAS_BITSANDBYTES, reason="bitsandbytes is not installed")
SMALL = LoraConfig(rank=2, alpha=6.0, targets=("q", "down"))


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@needs_peft
@pytest.mark.task(1)
@pytest.mark.parametrize("rslora", [False, True])
def test_a_layer_computes_what_pefts_does(rslora):
    torch.manual_seed(0)
    base, x = nn.Linear(12, 9), torch.randn(4, 12)
    adapter = LoRA(base, LoraConfig(rank=3, alpha=5.0, rslora=rslora))
    nn.init.normal_(adapter.B)
    theirs = peft_layer(base, adapter)
    close(adapter(x, base(x), base), theirs(x))


@needs_peft
@pytest.mark.task(3)
def test_a_merged_weight_is_pefts():
    torch.manual_seed(0)
    base = nn.Linear(12, 9)
    adapter = LoRA(base, LoraConfig(rank=3, alpha=5.0))
    nn.init.normal_(adapter.B)
    close(adapter.merged_weight(base.weight), peft_layer(base, adapter, merge=True).weight.detach())


@needs_peft
@pytest.mark.task(5)
@pytest.mark.parametrize("bias", [False, True])
def test_dora_computes_what_pefts_does_and_has_its_gradients(bias):
    torch.manual_seed(0)
    base, x = nn.Linear(12, 9, bias=bias), torch.randn(4, 12)
    adapter = DoRA(base, LoraConfig(rank=3, alpha=5.0, dora=True))
    with torch.no_grad():
        adapter.B.normal_()
        adapter.magnitude.mul_(1 + torch.rand(9))
    theirs = peft_layer(base, adapter)
    found, expected = adapter(x, base(x), base), theirs(x)
    close(found, expected)
    found.square().sum().backward()
    expected.square().sum().backward()
    gradients = {name: one.grad for name, one in theirs.named_parameters() if one.grad is not None}
    for ours, part in {"A": "lora_A", "B": "lora_B", "magnitude": "lora_magnitude_vector"}.items():
        [gradient] = [one for name, one in gradients.items() if part in name]
        torch.testing.assert_close(getattr(adapter, ours).grad, gradient, rtol=1e-5, atol=1e-4)
    close(adapter.merged_weight(base.weight), peft_layer(base, adapter, merge=True).weight.detach())


@needs_peft
@pytest.mark.task(6)
@pytest.mark.parametrize("kind", ["lora", "rslora", "dora"])
def test_peft_opens_ours(tmp_path, kind):
    config = LoraConfig(2, 6.0, ("q", "down"), rslora=kind == "rslora", dora=kind == "dora")
    model, tokens = random_model(), random_tokens()
    theirs = transformers_model(model, tmp_path / "base")
    add_adapter(model, config)
    trained(model)
    save_adapter(model, tmp_path / "adapter")
    found = peft_model(theirs, tmp_path / "adapter")(tokens).logits
    torch.testing.assert_close(found, model(tokens), rtol=1e-5, atol=1e-5)


@needs_peft
@pytest.mark.task(6)
@pytest.mark.parametrize("kind", ["lora", "rslora", "dora"])
def test_we_open_pefts(tmp_path, kind):
    model, tokens = random_model(), random_tokens()
    peft = library("peft")
    theirs = peft.get_peft_model(
        transformers_model(model, tmp_path / "base"),
        peft.LoraConfig(
            r=3, lora_alpha=12, target_modules=["q_proj", "up_proj"],
            use_rslora=kind == "rslora", use_dora=kind == "dora", init_lora_weights=False,
        ),
    )  # fmt: skip
    theirs.save_pretrained(str(tmp_path / "adapter"))
    found = load_adapter(model, tmp_path / "adapter")
    assert (found.rank, found.alpha, found.rslora, found.dora) == (3, 12.0, kind == "rslora", kind == "dora")
    expected = theirs(tokens).logits.detach()
    torch.testing.assert_close(model(tokens), expected, rtol=1e-5, atol=1e-5)


@needs_bitsandbytes
@pytest.mark.task(7)
@pytest.mark.parametrize("shape", [(64, 64), (48, 100)])
def test_codes_are_byte_for_byte_those_of_bitsandbytes(shape):
    bitsandbytes = library("bitsandbytes")
    torch.manual_seed(0)
    weight = torch.randn(shape)
    codes, state = bitsandbytes.functional.quantize_4bit(weight, blocksize=64, quant_type="nf4")
    assert torch.equal(nf4_levels(), state.code)
    found = quantize_nf4(weight)
    assert torch.equal(found.codes, codes.flatten())
    assert torch.equal(found.absmax, state.absmax)
    theirs = bitsandbytes.functional.dequantize_4bit(codes, state)
    assert torch.equal(dequantize_nf4(found), theirs)


@needs_bitsandbytes
@pytest.mark.task(8)
def test_scales_are_those_of_bitsandbytes():
    bitsandbytes = library("bitsandbytes")
    torch.manual_seed(0)
    weight = torch.randn(256, 200)
    _, plain = bitsandbytes.functional.quantize_4bit(weight, blocksize=64, quant_type="nf4")
    _, state = bitsandbytes.functional.quantize_4bit(
        weight, blocksize=64, quant_type="nf4", compress_statistics=True
    )
    assert torch.equal(dynamic_map(), state.state2.code)
    found = quantize_scales(plain.absmax)
    assert torch.equal(found.offset, state.offset)
    assert torch.equal(found.absmax, state.state2.absmax)
    # Where two numbers of the map are about equally near, theirs is not always the nearer one.
    apart = (found.codes.int() - state.absmax.flatten().int()).abs()
    assert apart.max() <= 1
    assert apart.count_nonzero() <= 0.005 * len(apart)
    theirs = bitsandbytes.functional.dequantize_blockwise(state.absmax, state.state2) + state.offset
    assert torch.equal(dequantize_scales(replace(found, codes=state.absmax.flatten())), theirs.flatten())
