"""Layers of codes compute what layers of their dequantized weights do, and nothing is stored twice."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from phase05_quantization.project14_ptq.given.example import (
    SHAPES,
    TINY,
    WIDE,
    random_matrix,
    random_model,
    random_tokens,
)
from phase05_quantization.project14_ptq.given.methods import as_floats
from phase05_quantization.project14_ptq.given.products import use_products
from phase05_quantization.project14_ptq.grids import Grid, nearest
from phase05_quantization.project14_ptq.quant_linear import (
    PackedWeight,
    QuantEmbedding,
    QuantLinear,
    model_bytes,
    quantize_embedding,
    quantize_linears,
)
from shared.phase01 import SamplingParams
from shared.phase02 import LoraConfig, add_adapter
from shared.phase03 import MOST_ROWS, generate_tokens
from shared.testing import raises

task = pytest.mark.task(3)
GRIDS = [
    Grid(8),
    Grid(4, 16),
    Grid(3, 7, False),
    Grid(2, "tensor"),
    Grid(4, "tensor", False),
    Grid(8, "tensor", False),
]
grids = pytest.mark.parametrize("grid", GRIDS, ids=str)


def layer(grid, bias=True, outputs=9, inputs=20):
    torch.manual_seed(0)
    linear = nn.Linear(inputs, outputs, bias=bias)
    return linear, QuantLinear(linear, nearest(linear.weight, grid))


def all_nearest(grid):
    return lambda name, linear: nearest(linear.weight, grid)


@task
@grids
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(20,), (3, 20), (2, 5, 20), (0, 20)])
def test_it_computes_what_the_dequantized_weight_does(grid, bias, shape):
    linear, found = layer(grid, bias)
    x = torch.randn(shape)
    expected = F.linear(x, nearest(linear.weight, grid).dequantized(), linear.bias)
    torch.testing.assert_close(found(x), expected, rtol=1e-6, atol=1e-6)


@task
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_it_answers_in_the_dtype_it_is_asked_in(dtype):
    linear, found = layer(Grid(4, 16))
    x = torch.randn(3, 20).to(dtype)
    weight = nearest(linear.weight, Grid(4, 16)).dequantized().to(dtype)
    assert found(x).dtype == dtype
    torch.testing.assert_close(found(x), F.linear(x, weight, linear.bias.to(dtype)))


class Recorder:
    """A product that notes what it is given."""

    def __init__(self):
        self.seen = []

    def __call__(self, rows):
        self.seen.append((tuple(rows.shape), rows.dtype))
        return torch.full((len(rows), 9), 2.0)


@task
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_few_rows_go_through_the_product(bias, dtype):
    linear, found = layer(Grid(4, 16), bias)
    found.product = Recorder()
    with torch.no_grad():
        y = found(torch.ones(2, 3, 20, dtype=dtype))
    assert found.product.seen == [((6, 20), torch.float32)]
    assert y.shape == (2, 3, 9)
    assert y.dtype == dtype
    expected = 2.0 + (linear.bias if bias else torch.zeros(9))
    torch.testing.assert_close(y[1, 2], expected.to(dtype), rtol=1e-2, atol=1e-2)


@task
@pytest.mark.parametrize(("rows", "through"), [(0, 0), (1, 1), (MOST_ROWS, 1), (MOST_ROWS + 1, 0)])
def test_many_rows_and_none_do_not(rows, through):
    _, found = layer(Grid(4, 16))
    found.product = Recorder()
    with torch.no_grad():
        found(torch.ones(rows, 20))
    assert len(found.product.seen) == through


@task
def test_nor_do_those_that_need_gradients():
    _, found = layer(Grid(4, 16))
    found.product = Recorder()
    x = torch.ones(2, 20, requires_grad=True)
    found(x).sum().backward()
    assert found.product.seen == []
    torch.testing.assert_close(x.grad, found.weight.sum(dim=0).expand(2, 20))


@task
@grids
def test_some_rows_of_a_matrix_are_those_of_the_whole(grid):
    found = PackedWeight(nearest(random_matrix(9, 20), grid))
    whole, places = found.quantized.dequantized(), torch.tensor([[3, 0, 8], [3, 3, 1]])
    assert torch.equal(found.rows(places), whole[places])
    assert found.rows(places[:0]).shape == (0, 3, 20)


@task
def test_no_more_than_the_rows_asked_for_are_unpacked(monkeypatch):
    from phase05_quantization.project14_ptq import quant_linear

    seen, plain = [], quant_linear.unpack
    monkeypatch.setattr(
        quant_linear, "unpack", lambda packed, *rest: seen.append(len(packed)) or plain(packed, *rest)
    )
    found = PackedWeight(nearest(random_matrix(500, 20), Grid(8)))
    found.rows(torch.tensor([4, 2]))
    assert max(seen) <= 2


@task
def test_all_linear_layers_but_the_head_are_replaced_once():
    model = random_model()
    head = model.head
    found = quantize_linears(model, all_nearest(Grid(4, 8)))
    assert len(found) == 2 * 7
    assert "blocks.1.feed_forward.down" in found
    assert model.head is head
    assert model.head.weight is model.embedding.weight
    layers = [part for part in model.modules() if isinstance(part, QuantLinear)]
    assert quantize_linears(model, all_nearest(Grid(2, 8))) == []
    assert [part for part in model.modules() if isinstance(part, QuantLinear)] == layers


@task
def test_layers_may_be_left_in_floats():
    model = random_model()
    rule = lambda name, linear: nearest(linear.weight, Grid(4)) if name.endswith(".q") else None  # noqa: E731
    assert quantize_linears(model, rule) == ["blocks.0.attention.q", "blocks.1.attention.q"]
    assert type(model.get_submodule("blocks.0.attention.k")) is nn.Linear


@task
@pytest.mark.parametrize("config", SHAPES)
@pytest.mark.parametrize("embedding", [None, Grid(8), Grid(4, 8, False)])
def test_a_model_computes_what_its_dequantized_twin_does(config, embedding):
    model, tokens = random_model(config), random_tokens(3)
    quantize_linears(model, all_nearest(Grid(4, 8)))
    if embedding is not None:
        quantize_embedding(model, embedding)
    twin = as_floats(copy.deepcopy(model))
    assert not any(isinstance(part, QuantLinear | QuantEmbedding) for part in twin.modules())
    torch.testing.assert_close(model(tokens), twin(tokens), rtol=1e-5, atol=1e-5)


@task
@pytest.mark.parametrize("config", SHAPES)
def test_a_tied_matrix_is_there_once_and_an_untied_one_by_itself(config):
    model = random_model(config)
    weight = model.embedding.weight.detach().clone()
    quantize_embedding(model, Grid(8))
    assert (model.head.packed_weight is model.embedding.packed_weight) == config.tied_embeddings
    torch.testing.assert_close(model.embedding.weight, nearest(weight, Grid(8)).dequantized())


@task
def test_the_embedding_answers_in_the_streams_dtype():
    model = random_model()
    quantize_embedding(model, Grid(8))
    tokens = torch.tensor([[3, 0, 3]])
    assert model.embedding(tokens).dtype == torch.float32
    assert torch.equal(model.embedding(tokens)[0], model.embedding.weight[tokens[0]])
    model.embedding.stream_dtype = torch.bfloat16
    assert model.embedding(tokens).dtype == torch.bfloat16


@task
def test_bytes_are_those_that_are_there():
    model = random_model(WIDE)
    grid = Grid(4, 32, scale_dtype=torch.float16)
    quantize_linears(model, all_nearest(grid))
    quantize_embedding(model, Grid(8, scale_dtype=torch.float16))
    linears = 2 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 64 * 192)
    gains = 5 * 64 * 4
    assert model_bytes(model) == linears // 2 + linears // 32 * 2 + 67 * 64 + 67 * 2 + gains


def test_zeros_are_kept_only_where_there_are_any():
    symmetric, other = (layer(Grid(4, 16, kind), bias=False)[1] for kind in (True, False))
    assert model_bytes(other) == model_bytes(symmetric) + 9 * 2


def test_changing_the_dtype_does_not_change_the_codes_scales():
    linear, found = layer(Grid(4, 16))
    expected = found.packed_weight.scale.clone()
    found.to(torch.bfloat16)
    assert torch.equal(found.packed_weight.scale, expected)
    assert found.weight.dtype == torch.bfloat16
    torch.testing.assert_close(found.weight, nearest(linear.weight, Grid(4, 16)).dequantized().bfloat16())


def test_codes_of_another_layer_are_refused():
    linear = nn.Linear(20, 9)
    with raises(ValueError, "(9, 20)", "(9, 21)"):
        QuantLinear(linear, nearest(random_matrix(9, 21), Grid(4)))


@task
def test_its_state_goes_into_another_of_its_kind():
    model, other = random_model(), random_model(seed=1)
    for one in (model, other):
        quantize_linears(one, all_nearest(Grid(4, 8, False)))
        quantize_embedding(one, Grid(8))
    other.load_state_dict(model.state_dict())
    assert torch.equal(model(random_tokens()), other(random_tokens()))


@task
def test_adapters_learn_over_codes():
    model = random_model()
    quantize_linears(model, all_nearest(Grid(4, 8)))
    add_adapter(model, LoraConfig(rank=2, targets=("q",)))
    loss = model(random_tokens()[:, :-1], targets=random_tokens()[:, 1:])
    loss.backward()
    learned = [name for name, one in model.named_parameters() if one.grad is not None and one.grad.any()]
    assert any(".adapters." in name for name in learned)


@task
@pytest.mark.parametrize("kernels", [False, True])
def test_project_8_writes_with_it(kernels):
    model = random_model(WIDE)
    quantize_linears(model, all_nearest(Grid(8, 64)))
    quantize_embedding(model, Grid(8))
    twin = as_floats(copy.deepcopy(model))
    if kernels:
        use_products(model)
    params = SamplingParams(max_tokens=6, temperature=0)
    found = generate_tokens(model, [[3, 1, 4], [1, 5]], params)
    expected = generate_tokens(twin, [[3, 1, 4], [1, 5]], params)
    assert [len(text) for text in found] == [6, 6]
    assert found[0][0] == expected[0][0]
    assert kernels or found == expected


@task
def test_a_small_model_is_as_before_where_nothing_is_replaced():
    model = random_model(TINY)
    before = model(random_tokens())
    assert quantize_linears(model, lambda name, linear: None) == []
    assert torch.equal(model(random_tokens()), before)
