from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given
from hypothesis import strategies as st
from torch import nn

from phase02_finetuning.project05_lora.adapters import add_adapter, train_only
from phase02_finetuning.project05_lora.given.example import random_model
from phase02_finetuning.project05_lora.given.shapes import SHAPES
from phase02_finetuning.project05_lora.lora import LoraConfig
from phase02_finetuning.project05_lora.plan import (
    Setup,
    kept_in_block,
    linear_shapes,
    memory_plan,
    nf4_bytes,
    optimizer_bytes,
    other_sizes,
)
from phase02_finetuning.project05_lora.qlora import NF4Linear, quantize_base
from shared.phase01 import LLM, Config, make_optimizers, torch_attention, training_step
from shared.testing import raises

SMALL = Config(61, 64, layers=4, heads=4, kv_heads=2, dim=64, hidden_dim=144)
SHAPES_OF_ALL_KINDS = {
    "plain": SMALL,
    "tied, qk_norm": replace(SMALL, tied_embeddings=True, qk_norm=True),
    "squared relu": replace(SMALL, activation="squared_relu", kv_heads=4),
    "wide heads": replace(SMALL, head_dim=24, kv_heads=1),
}
every_shape = pytest.mark.parametrize("config", SHAPES_OF_ALL_KINDS.values(), ids=SHAPES_OF_ALL_KINDS)
every_method = pytest.mark.parametrize("method", ["full", "lora", "qlora"])


def prepared(config, setup):
    """A real model made ready as the setup says."""
    model = random_model(config)
    if setup.method == "qlora":
        quantize_base(model, double=setup.double)
    if setup.method != "full":
        add_adapter(model, LoraConfig(setup.rank, targets=setup.targets))
        train_only(model)
    return model


def numbers_kept(model, rows, time):
    """Bytes of all tensors that autograd keeps for a step's way back, each storage once, without weights."""
    kept = {}
    own = {one.untyped_storage().data_ptr() for one in [*model.parameters(), *model.buffers()]}

    def look(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)  # held, so that no address is used twice
        return tensor

    tokens = torch.randint(61, (rows, time + 1))
    with torch.autograd.graph.saved_tensors_hooks(look, lambda tensor: tensor):
        logits = model(tokens[:, :-1], attend=torch_attention)
        loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    del loss
    return sum(size for size, _ in kept.values())


@pytest.mark.task(10)
@every_shape
@every_method
@pytest.mark.parametrize("targets", [("q", "down"), ("q", "k", "v", "out", "up")])
def test_weights_adapters_gradients_and_moments_are_those_of_a_real_model(config, method, targets):
    setup = Setup(method, rank=3, targets=targets, rows=2, time=5, dtype="float32", double=len(targets) == 2)
    model, plan = prepared(config, setup), memory_plan(config, setup)
    adapters = {id(one) for name, one in model.named_parameters() if ".adapters." in name}
    held = [*model.parameters(), *model.buffers()]
    assert plan.weights == sum(one.nbytes for one in held if id(one) not in adapters)
    assert plan.adapters == sum(one.nbytes for one in held if id(one) in adapters)
    optimizers = make_optimizers(model, "adamw")
    tokens = torch.randint(61, (2, 6))
    training_step(model, optimizers, {"tokens": tokens[:, :-1], "targets": tokens[:, 1:]}, 1e-3)
    assert plan.gradients == sum(one.grad.nbytes for one in held if one.grad is not None)
    moments = [
        one for optimizer in optimizers for state in optimizer.state.values() for one in state.values()
    ]
    assert plan.optimizer == sum(one.nbytes for one in moments if one.ndim)


@pytest.mark.task(10)
@every_shape
@every_method
@pytest.mark.parametrize("targets", [("q", "down"), ("k", "out", "up")])
def test_activations_are_those_that_a_real_step_keeps(config, method, targets):
    setup = Setup(method, rank=3, targets=targets, rows=2, time=64, dtype="float32", logits_at_once=1)
    model = prepared(config, setup)
    # What two more rows bring: whatever does not grow with the rows is not meant.
    counted = numbers_kept(model, 4, 64) - numbers_kept(model, 2, 64)
    logits = 4 * 2 * 64 * 61
    planned = memory_plan(config, setup).activations
    assert (counted - logits) / planned == pytest.approx(1, abs=0.025)


@pytest.mark.task(10)
@pytest.mark.parametrize(
    ("part", "reads"),
    [("q", 96), ("k", 96), ("v", 96), ("out", 64), ("gate", 96), ("up", 96), ("down", 144)],
)
def test_for_one_adapted_layer_a_block_keeps_what_it_reads_and_what_its_b_reads(part, reads):
    config = replace(SMALL, dim=96, head_dim=16)
    always = 2 * 96 + 4 * 4 * 16 + 3 * 144
    assert kept_in_block(config, Setup(rank=5, targets=(part,))) == always + reads + 5


@pytest.mark.task(10)
@every_method
def test_with_checkpointing_a_block_keeps_its_input_and_one_its_inside(method):
    setup = Setup(method, rank=3, rows=2, time=64, dtype="float32", checkpointing=True)
    model = prepared(SMALL, setup)
    assert isinstance(model, LLM)
    model.gradient_checkpointing = True
    counted = numbers_kept(model, 4, 64) - numbers_kept(model, 2, 64) - 4 * 2 * 64 * 61
    inside = 4 * 2 * 64 * kept_in_block(SMALL, setup)
    planned = memory_plan(SMALL, setup).activations
    assert planned - inside == pytest.approx(counted, rel=0.02)
    assert planned < memory_plan(SMALL, replace(setup, checkpointing=False)).activations / 2


@pytest.mark.task(10)
@given(st.integers(1, 40_000), st.booleans())
@example(64 * 256, True)
@example(64 * 256 + 1, True)
def test_four_bits_and_their_scales_to_the_byte(count, double):
    layer = NF4Linear(nn.Linear(count, 1, bias=False), double=double)
    assert nf4_bytes(count, double) == sum(one.nbytes for one in layer.buffers())


@pytest.mark.task(10)
def test_a_weight_costs_half_a_byte_and_a_little():
    assert 8 * nf4_bytes(4096 * 4096) / 4096**2 == pytest.approx(4.127, abs=0.001)
    assert 8 * nf4_bytes(4096 * 4096, double=False) / 4096**2 == 4.5


@pytest.mark.task(10)
@pytest.mark.parametrize(
    ("sizes", "optimizer", "expected"),
    [
        ([10, 5000], "adamw", 8 * 5010),
        ([4095], "adamw_8bit", 8 * 4095),
        ([4096], "adamw_8bit", 2 * 4096 + 2 * 4 * 16),
        ([4097, 1], "adamw_8bit", 2 * 4097 + 2 * 4 * 17 + 8),
        ([], "adamw_8bit", 0),
    ],
)
def test_moments_in_32_bits_and_in_eight(sizes, optimizer, expected):
    assert optimizer_bytes(sizes, optimizer) == expected


@pytest.mark.task(10)
def test_frozen_weights_and_activations_have_the_dtype_and_what_is_trained_float32():
    wide = Setup("lora", rows=3, time=10, dtype="float32")
    narrow = replace(wide, dtype="bfloat16")
    one, other = memory_plan(SMALL, wide), memory_plan(SMALL, narrow)
    assert one.weights == 2 * other.weights
    assert one.activations == 2 * other.activations
    assert (one.adapters, one.gradients, one.optimizer, one.logits) == (
        other.adapters, other.gradients, other.optimizer, other.logits
    )  # fmt: skip
    full = memory_plan(SMALL, replace(narrow, method="full"))
    assert full.weights == full.gradients == one.weights
    assert full.optimizer == 2 * full.weights
    assert full.adapters == 0


@pytest.mark.task(10)
def test_in_qlora_the_embedding_head_and_gains_stay_in_floats():
    plan = memory_plan(SMALL, Setup("qlora"))
    blocks = sum(nf4_bytes(outputs * inputs) for outputs, inputs in linear_shapes(SMALL).values())
    assert plan.weights == blocks + 2 * sum(other_sizes(SMALL))


@pytest.mark.task(10)
def test_activations_and_logits_grow_with_rows_times_time():
    one = memory_plan(SMALL, Setup(rows=1, time=16))
    many = memory_plan(SMALL, Setup(rows=6, time=32))
    assert many.activations == 12 * one.activations
    assert many.logits == 12 * one.logits == 12 * 2 * 4 * 16 * 61
    assert many.weights == one.weights
    chunked = memory_plan(SMALL, Setup(rows=6, time=32, logits_at_once=100))
    assert chunked.logits == 2 * 4 * 100 * 61
    assert memory_plan(SMALL, Setup(rows=1, time=16, logits_at_once=100)).logits == one.logits


@pytest.mark.task(10)
def test_a_7b_model_fits_where_people_say_it_does():
    setup = Setup(rank=16, rows=1, time=512, checkpointing=True)
    plans = {
        one: memory_plan(SHAPES["llama-7b"], replace(setup, method=one)) for one in ("full", "lora", "qlora")
    }
    totals = {name: plan.total / 2**30 for name, plan in plans.items()}
    assert totals["full"] > 100
    assert 13 < totals["lora"] < 16
    assert 4 < totals["qlora"] < 6
    weights = 6_738_415_616
    assert plans["full"].weights == 4 * weights
    assert plans["lora"].weights == 2 * weights


@pytest.mark.task(10)
def test_a_total_is_the_sum_and_targets_must_be_there():
    plan = memory_plan(SMALL, Setup())
    parts = plan.weights, plan.adapters, plan.gradients, plan.optimizer, plan.activations, plan.logits
    assert plan.total == sum(parts)
    with raises(ValueError, "query"):
        memory_plan(SMALL, Setup(targets=("q", "query")))
    assert memory_plan(SMALL, Setup("full", targets=("query",))).adapters == 0


@pytest.mark.parametrize(
    ("wrong", "facts"),
    [
        ({"method": "prefix"}, ("method", "prefix", "qlora")),
        ({"dtype": "int8"}, ("dtype", "int8", "bfloat16")),
        ({"optimizer": "sgd"}, ("optimizer", "sgd", "adamw_8bit")),
        ({"rank": 0}, ("rank", 0)),
        ({"time": -1}, ("time", -1)),
        ({"rows": 0}, ("rows", 0)),
        ({"logits_at_once": 0}, ("logits_at_once", 0)),
    ],
)
def test_what_cannot_be_is_refused(wrong, facts):
    with raises(ValueError, *facts):
        Setup(**wrong)
