import inspect
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor
from torch.utils.flop_counter import FlopCounterMode

from phase01_foundation.project03_pretrain.model import LLM, Config
from phase01_foundation.project03_pretrain.optimizers import Muon, make_optimizers, orthogonalize
from shared.processes import spawn
from shared.testing import raises

task = pytest.mark.task(5)

CONFIG = Config(11, 8, layers=2, heads=2, kv_heads=1, dim=8, hidden_dim=12, qk_norm=True)
# bfloat16 keeps 8 bits, and each iteration multiplies the rounding of small singular values by up to 3.4. Of 15,000
# matrices that hypothesis made, a few had an entry 0.1 off; over 120 runs of four steps, a run was at most 5% off.
ROUNDING = 0.2
ROUNDING_OF_STEPS = 0.07


def matrix(rows, columns, singular, seed=0):
    """U, the singular values, Vᵀ, and their product, with directions drawn at random."""
    random = torch.Generator().manual_seed(seed)
    width = min(rows, columns)
    left, _ = torch.linalg.qr(torch.randn(rows, width, generator=random, dtype=torch.float64))
    right, _ = torch.linalg.qr(torch.randn(columns, width, generator=random, dtype=torch.float64))
    values = torch.as_tensor(singular, dtype=torch.float64)
    return left, values, right.mT, left @ values.diag() @ right.mT


def step_length(before, after):
    return (after - before).norm().item()


# ---- orthogonalize


@task
@given(st.integers(2, 24), st.integers(2, 24), st.integers(-6, 6), st.integers(0, 99), st.data())
def test_singular_values_become_about_one_and_directions_stay(rows, columns, scale, seed, data):
    width = min(rows, columns)
    singular = data.draw(st.lists(st.floats(0.1, 1), min_size=width, max_size=width))
    left, _, right, whole = matrix(rows, columns, singular, seed)
    result = orthogonalize((whole * 10.0**scale).float())
    assert result.dtype == torch.bfloat16
    assert result.shape == (rows, columns)
    inside = left.mT @ result.double() @ right.mT  # diagonal, where the directions are the same
    assert inside.diagonal().min() > 0.6
    assert inside.diagonal().max() < 1.3
    torch.testing.assert_close(inside, inside.diagonal().diag(), rtol=0, atol=ROUNDING)
    torch.testing.assert_close(left @ inside @ right, result.double(), rtol=0, atol=ROUNDING)


@task
@pytest.mark.parametrize(("steps", "rounding"), [(0, 0.005), (1, 0.02), (3, 0.1), (5, ROUNDING)])
def test_it_is_a_polynomial_of_each_singular_value(steps, rounding):
    """So many times s → 3.4445 s - 4.7750 s³ + 2.0315 s⁵, from s over the Frobenius norm."""
    left, singular, right, whole = matrix(6, 9, [3.0, 2.0, 1.5, 1.0, 0.8, 0.7])
    s = singular / singular.norm()
    for _ in range(steps):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    expected = left @ s.diag() @ right
    torch.testing.assert_close(orthogonalize(whole.float(), steps).double(), expected, rtol=0, atol=rounding)


@task
def test_a_batch_is_each_matrix_by_itself():
    stack = torch.randn(2, 3, 5, 8, generator=torch.Generator().manual_seed(0))
    stack[1] *= 1000  # each has a norm of its own
    stack = stack.bfloat16()
    before = stack.clone()
    together = orthogonalize(stack)
    assert torch.equal(stack, before), "what is given stays as it is"
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(together[i, j], orthogonalize(stack[i, j]), rtol=0, atol=ROUNDING)


@task
def test_a_tall_matrix_is_a_wide_one_on_its_side():
    wide = torch.randn(4, 20, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(orthogonalize(wide.mT), orthogonalize(wide).mT, rtol=0, atol=ROUNDING)


@task
def test_a_zero_matrix_stays_zero_beside_others():
    stack = torch.stack([torch.zeros(3, 4), torch.ones(3, 4)])
    result = orthogonalize(stack)
    assert not result[0].any()
    assert result[1].any()


@task
@pytest.mark.parametrize("shape", [(4, 64), (3, 4, 64), (2, 3, 4, 64)])
def test_the_products_are_those_of_the_shorter_side(shape):
    """What is tall costs what is wide does: 5 times x xᵀ, its square, and a product with x, of 4 × 64 numbers each."""
    square, product = 2 * 4 * 4 * 4, 2 * 4 * 4 * 64
    for matrix in (torch.randn(shape), torch.randn(shape).mT):
        with FlopCounterMode(display=False) as counter:
            orthogonalize(matrix)
        assert counter.get_total_flops() <= 5 * math.prod(shape[:-2]) * (2 * product + max(square, product))


# ---- Muon


def twins(shapes, **settings):
    """The same weights under our Muon and under torch's."""
    random = torch.Generator().manual_seed(1)
    start = [torch.randn(shape, generator=random) for shape in shapes]
    ours, theirs = ([nn.Parameter(weight.clone()) for weight in start] for _ in range(2))
    peer = torch.optim.Muon(theirs, **settings, nesterov=True, adjust_lr_fn="match_rms_adamw")
    return start, ours, theirs, Muon(ours, **settings), peer


@task
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_steps_are_those_of_torchs_muon(weight_decay):
    """Also where shapes repeat and so are orthogonalized together, and over steps, where momentum adds up."""
    shapes = [(6, 16), (16, 6), (6, 16), (12, 12)]
    start, ours, theirs, muon, peer = twins(shapes, lr=0.02, momentum=0.9, weight_decay=weight_decay)
    random = torch.Generator().manual_seed(2)
    for _ in range(4):
        for own, other in zip(ours, theirs, strict=True):
            own.grad = torch.randn(own.shape, generator=random)
            other.grad = own.grad.clone()
        muon.step()
        peer.step()
    for before, own, other in zip(start, ours, theirs, strict=True):
        assert step_length(other, own) < ROUNDING_OF_STEPS * step_length(before, other)


@task
def test_a_step_has_the_length_of_adams():
    """0.2 √max(rows, columns) times an orthogonal matrix: entries of about 0.2, whatever the shape and gradient."""
    for shape in ((8, 8), (4, 64), (64, 4)):
        parameter = nn.Parameter(torch.zeros(shape))
        left, _, right, gradient = matrix(*shape, torch.linspace(1, 2, min(shape)))
        parameter.grad = 1e-3 * gradient.float()
        Muon([parameter], lr=0.1).step()
        assert parameter.square().mean().sqrt().item() == pytest.approx(0.1 * 0.2, rel=0.2)
        along = -(left.mT @ parameter.detach().double() @ right.mT)  # downhill, along U Vᵀ
        assert along.diagonal().min() > 0.6 * 0.1 * 0.2 * max(shape) ** 0.5


@task
def test_momentum_is_a_moving_mean_with_nesterovs_look_ahead():
    parameter = nn.Parameter(torch.zeros(2, 3))
    muon = Muon([parameter], lr=1.0, momentum=0.75)
    gradients = torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(3))
    velocity = torch.zeros(2, 3)
    for gradient in gradients:
        before = parameter.detach().clone()
        parameter.grad = gradient.clone()
        muon.step()
        velocity = 0.75 * velocity + 0.25 * gradient
        torch.testing.assert_close(muon.state[parameter]["velocity"], velocity)
        assert torch.equal(parameter.grad, gradient), "the gradient is not ours to change"
        expected = -0.2 * 3**0.5 * orthogonalize(0.25 * gradient + 0.75 * velocity).float()
        torch.testing.assert_close(
            parameter.detach() - before, expected, rtol=0, atol=0.2 * 3**0.5 * ROUNDING
        )


@task
def test_weights_decay_by_rate_times_weight_decay_and_only_with_a_gradient():
    decayed, left_alone = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    decayed.grad = torch.zeros(2, 2)
    Muon([decayed, left_alone], lr=0.1, weight_decay=0.5).step()
    torch.testing.assert_close(decayed.detach(), torch.full((2, 2), 0.95))
    assert torch.equal(left_alone, torch.ones(2, 2))


@task
def test_decay_takes_nothing_from_the_step():
    """It shrinks the weights as they were, which are 0 here: the step that follows is as long as without decay."""
    steps = []
    for weight_decay in (0.0, 1.0):
        parameter = nn.Parameter(torch.zeros(3, 4))
        parameter.grad = torch.ones(3, 4)
        Muon([parameter], lr=0.5, weight_decay=weight_decay).step()
        steps.append(parameter.detach())
    torch.testing.assert_close(*steps)


@task
def test_each_group_has_its_own_rate():
    slow, fast = (nn.Parameter(torch.zeros(2, 2)) for _ in range(2))
    muon = Muon([slow], lr=0.1)
    muon.add_param_group({"params": [fast], "lr": 0.2})
    slow.grad = torch.eye(2)
    fast.grad = torch.eye(2)
    muon.step()
    torch.testing.assert_close(2 * slow.detach(), fast.detach(), rtol=0.02, atol=0)


def stepped():
    """Three steps of one matrix; where there are processes, each has a shard of weights and gradients, as with FSDP."""
    random = torch.Generator().manual_seed(5)
    weight, *gradients = torch.randn(4, 7, 4, generator=random)
    mesh = init_device_mesh("cpu", (2,)) if torch.distributed.is_initialized() else None

    def share(tensor):
        return tensor if mesh is None else distribute_tensor(tensor, mesh, [Shard(0)])

    parameter = nn.Parameter(share(weight))
    muon = Muon([parameter], lr=0.1, weight_decay=0.5)
    for gradient in gradients:
        parameter.grad = share(gradient)
        muon.step()
    found = parameter.detach()
    return found.full_tensor() if isinstance(found, DTensor) else found


@task
def test_a_matrix_cut_into_shards_takes_the_same_steps():
    for found in spawn(stepped):
        torch.testing.assert_close(found, stepped())


def test_muon_refuses_what_is_no_matrix():
    with pytest.raises(ValueError, match=r"matrices only, not a parameter of shape \(3,\)"):
        Muon([nn.Parameter(torch.zeros(3))])


# ---- who goes where


def names_in(optimizer, model):
    known = {parameter: name for name, parameter in model.named_parameters()}
    return {known[parameter] for group in optimizer.param_groups for parameter in group["params"]}


@task
@pytest.mark.parametrize("tied", [False, True])
def test_muon_gets_the_matrices_of_the_blocks_and_adamw_the_rest(tied):
    model = LLM(Config(**{**vars(CONFIG), "tied_embeddings": tied}))
    muon, adamw = make_optimizers(model, "muon", weight_decay=0.1)
    assert isinstance(muon, Muon)
    assert isinstance(adamw, torch.optim.AdamW)
    matrices = names_in(muon, model)
    assert len(matrices) == 2 * 7  # q, k, v, out, gate, up, down
    assert all(name.startswith("blocks.") and "norm" not in name for name in matrices)
    rest = {name for name, _ in model.named_parameters()} - matrices
    assert names_in(adamw, model) == rest
    assert "embedding.weight" in rest
    assert ("head.weight" in rest) is not tied
    assert "blocks.0.attention.q_norm.weight" in rest


@task
@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_only_the_matrices_of_the_blocks_decay(kind):
    model = LLM(CONFIG)
    nn.init.ones_(
        model.blocks.get_submodule("0.attention").get_parameter("out.weight")
    )  # zeros cannot shrink
    optimizers = make_optimizers(model, kind, weight_decay=0.5)
    assert len(optimizers) == (2 if kind == "muon" else 1)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            assert group["lr"] == 0, "the training step sets it"
            group["lr"] = 0.1
            for parameter in group["params"]:
                parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    for name, parameter in model.named_parameters():
        decays = name.startswith("blocks.") and parameter.ndim == 2
        torch.testing.assert_close(parameter.detach(), before[name] * (0.95 if decays else 1), msg=name)


@task
def test_adamw_takes_the_betas():
    [adamw] = make_optimizers(LLM(CONFIG), "adamw", betas=(0.8, 0.99))
    assert {group["betas"] for group in adamw.param_groups} == {(0.8, 0.99)}


@task
def test_a_wrapped_models_blocks_are_found():
    model = LLM(CONFIG)
    wrapped = nn.ModuleDict({"module": model})
    muon, _ = make_optimizers(wrapped)
    assert names_in(muon, model) == names_in(make_optimizers(model)[0], model)


@task
def test_frozen_weights_are_left_out():
    model = LLM(CONFIG).requires_grad_(False)
    model.embedding.weight.requires_grad_(True)
    [only] = make_optimizers(model, "muon")
    assert names_in(only, model) == {"embedding.weight"}
    model.blocks.requires_grad_(True)
    model.embedding.weight.requires_grad_(False)
    muon, adamw = make_optimizers(model, "muon")
    assert all(parameter.requires_grad for group in adamw.param_groups for parameter in group["params"])
    assert len(names_in(muon, model)) == 14
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.ndim == 2)
    model.embedding.requires_grad_(False)
    model.head.requires_grad_(False)
    [alone] = make_optimizers(model, "muon")
    assert names_in(alone, model) == names_in(muon, model), "AdamW would have nothing"
    [adamw] = make_optimizers(model, "adamw")
    assert [len(group["params"]) for group in adamw.param_groups] == [14]


@task
def test_what_cannot_be_trained_is_named():
    unchecked = inspect.unwrap(make_optimizers)  # in tests, types are checked before
    with raises(ValueError, "sgd", "muon", "adamw"):
        unchecked(LLM(CONFIG), "sgd")
    with raises(ValueError):
        make_optimizers(LLM(CONFIG).requires_grad_(False))
