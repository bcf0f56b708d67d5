"""The own autocast against torch.autocast, bit for bit: every operation alone, then project 3's whole model."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from phase03_core_inference.project07_mixed_precision.autocast import Autocast
from phase03_core_inference.project07_mixed_precision.given.operations import EXAMPLES, inputs
from shared.phase01 import LLM, Config, torch_attention
from shared.testing import raises

B16, F16, F32, F64 = torch.bfloat16, torch.float16, torch.float32, torch.float64
CONFIG = Config(
    vocab_size=40, context_length=16, layers=2, heads=4, kv_heads=2, dim=32, hidden_dim=48, qk_norm=True
)


def outcome(block, run, *arguments) -> Any:
    """What comes out inside the block, or the kind of error."""
    try:
        with block:
            return run(*arguments)
    except NotImplementedError:  # a task that is still to be written is no outcome
        raise
    except (RuntimeError, ValueError) as problem:
        return type(problem)


@pytest.mark.task(3)
@pytest.mark.parametrize("dtypes", [(F32,), (B16,), (F32, B16), (B16, F32), (F64,)])
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_operation_gives_what_it_gives_under_torch_autocast(name, dtypes):
    run, _ = EXAMPLES[name]
    given = inputs(EXAMPLES[name], dtypes)
    ours, theirs = outcome(Autocast(B16), run, *given), outcome(torch.autocast("cpu", B16), run, *given)
    if isinstance(theirs, type):
        assert ours is theirs
    else:
        assert ours.dtype == theirs.dtype
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True)


@pytest.mark.task(3)
@pytest.mark.parametrize("name", ["linear", "@", "einsum", "cross_entropy", "softmax", "add", "prod"])
def test_float16_has_the_same_lists(name):
    run, _ = EXAMPLES[name]
    given = inputs(EXAMPLES[name], (F32, F16))
    with Autocast(F16):
        ours = run(*given)
    with torch.autocast("cpu", F16):
        theirs = run(*given)
    assert ours.dtype == theirs.dtype
    assert torch.equal(ours, theirs)


def example(tied=False):
    """A small LLM whose weights are large enough for every part to count, and tokens."""
    torch.manual_seed(0)
    model = LLM(Config(**{**vars(CONFIG), "tied_embeddings": tied}))
    for parameter in model.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.2)
    tokens = torch.randint(CONFIG.vocab_size, (3, 9))
    return model, tokens


@pytest.mark.task(3)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("attend", [None, torch_attention])
def test_the_whole_model_gives_the_same_bits_and_the_same_gradients(attend, tied):
    model, tokens = example(tied)

    def run(block):
        model.zero_grad()
        with block:
            logits = model(tokens, attend=attend)
            loss = model(tokens, attend=attend, targets=tokens.roll(-1, dims=1))
        loss.backward()
        gradients = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
        assert len(gradients) == len(list(model.parameters()))
        return [logits.detach(), loss.detach(), *gradients]

    ours, theirs = run(Autocast(B16)), run(torch.autocast("cpu", B16))
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


@pytest.mark.task(3)
def test_gradients_come_back_in_the_format_of_the_weights():
    weight, x = torch.randn(4, 8, requires_grad=True), torch.randn(3, 8)
    with Autocast(B16):
        out = F.linear(x, weight)
    out.float().sum().backward()
    assert weight.grad is not None
    assert weight.grad.dtype == F32
    assert torch.equal(weight.grad, weight.grad.bfloat16().float()), (
        "made in bfloat16, brought back to float32"
    )


@pytest.mark.task(3)
def test_a_weight_is_cast_once_and_kept_until_the_outermost_block_ends():
    weight, x = torch.ones(1, 1, requires_grad=True), torch.ones(1, 1)
    with Autocast(B16) as block:
        assert Autocast.regions == [block]
        first = F.linear(x, weight)
        with Autocast(B16):
            F.linear(x, weight)
        assert len(Autocast.casts) == 1
        with torch.no_grad():
            weight.fill_(12.0)
        assert F.linear(x, weight).item() == 1.0, "the copy is the old one, as in torch.autocast"
        [(kept, copy)] = Autocast.casts.values()
        assert kept is weight
        assert copy.dtype == B16
    assert not Autocast.casts
    assert not Autocast.regions
    with Autocast(B16):
        assert F.linear(x, weight).item() == 12.0
    assert first.item() == 1.0


@pytest.mark.task(3)
def test_only_weights_that_learn_are_kept():
    weight = torch.ones(2, 2, requires_grad=True)
    with Autocast(B16):
        with torch.no_grad():
            torch.mm(weight, weight)
        assert not Autocast.casts, "without gradients"
        torch.mm(torch.ones(2, 2), torch.ones(2, 2))
        assert not Autocast.casts, "no weight"
        torch.mm(weight * 1, weight.detach())
        assert not Autocast.casts, "an intermediate result"
        torch.mm(torch.ones(2, 2, dtype=B16, requires_grad=True), weight.detach())
        torch.mm(torch.ones(2, 2, dtype=F16, requires_grad=True), weight.detach())
        F.mse_loss(torch.ones(2, 2, dtype=B16, requires_grad=True), torch.ones(2, 2, dtype=B16))
        assert not Autocast.casts, "nothing that was narrow before"
        with torch.no_grad():
            view = torch.ones(4, requires_grad=True).view(2, 2).requires_grad_()
        torch.mm(view, torch.ones(2, 2))
        assert not Autocast.casts, "no view"
        out = torch.mm(weight, weight)
        assert len(Autocast.casts) == 1
    out.sum().backward()
    assert weight.grad is not None, "the copy made without gradients is not the one that is used with them"


@pytest.mark.task(3)
def test_the_innermost_block_counts():
    x = torch.ones(2, 2)
    with Autocast(B16):
        with Autocast(enabled=False):
            assert (x @ x).dtype == F32
            with Autocast(F16):
                assert (x @ x).dtype == F16
            assert (x @ x).dtype == F32
        assert (x @ x).dtype == B16
    assert (x @ x).dtype == F32


@pytest.mark.task(3)
def test_an_error_inside_closes_the_block():
    weight = torch.ones(2, 2, requires_grad=True)

    def fail():
        with Autocast(B16):
            F.linear(weight, weight)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not Autocast.regions
    assert not Autocast.casts
    assert (weight @ weight).dtype == F32


@pytest.mark.task(3)
def test_a_call_that_says_where_to_write_is_left_alone():
    x, out = torch.ones(2, 2), torch.zeros(2, 2)
    with Autocast(B16):
        torch.mm(x, x, out=out)
    assert torch.equal(out, torch.full((2, 2), 2.0))


@pytest.mark.task(3)
def test_lists_among_the_arguments_are_looked_into():
    x = torch.ones(2, 2)
    with Autocast(B16):
        assert torch.einsum("ij,jk->ik", [x, x]).dtype == B16
        assert F.linear(input=x, weight=x).dtype == B16, "and names"


@pytest.mark.task(3)
def test_only_floating_point_tensors_of_the_device_are_cast():
    block = Autocast(B16)
    with block:
        whole, double, text = torch.ones(2, dtype=torch.long), torch.ones(2, dtype=F64), "none"
        assert block.cast(whole, B16) is whole
        assert block.cast(double, B16) is double
        assert block.cast(text, B16) is text
        elsewhere, there = torch.ones(2, device="meta"), torch.ones(2, dtype=B16)
        assert block.cast(elsewhere, B16) is elsewhere
        assert block.cast(there, B16) is there
        assert block.cast(torch.ones(2), B16).dtype == B16
        assert block.cast(there, F32).dtype == F32


@pytest.mark.task(3)
@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("linear", B16),
        ("__matmul__", B16),
        ("cross_entropy", F32),
        ("add", None),
        ("softmax", None),
        ("", None),
    ],
)
def test_the_lists_say_which_format_is_wanted(name, dtype):
    assert Autocast(B16).wanted(name) == dtype


@pytest.mark.parametrize("dtype", [F32, torch.int8])
def test_another_dtype_is_refused(dtype):
    with raises(ValueError, str(dtype)):
        Autocast(dtype)


@pytest.mark.parametrize("device", ["meta", "no such thing"])
def test_a_device_that_is_not_there_is_refused(device):
    with raises(ValueError, device):
        Autocast(B16, device)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", [B16, F16])
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_gpu_has_lists_of_its_own(name, dtype):
    run, _ = EXAMPLES[name]
    given = inputs(EXAMPLES[name], (F32,), "cuda")
    ours, theirs = (
        outcome(Autocast(dtype, "cuda"), run, *given),
        outcome(torch.autocast("cuda", dtype), run, *given),
    )
    if isinstance(theirs, type):
        assert ours is theirs
        return
    assert ours.dtype == theirs.dtype
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True)
