import math
from collections import Counter
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode

from phase01_foundation.project03_pretrain.batches import IGNORED
from phase01_foundation.project03_pretrain.given import chunked_loss
from phase01_foundation.project03_pretrain.model import LLM, Config
from phase01_foundation.project03_pretrain.step import gradient_sync, next_token_loss, training_step
from shared.processes import spawn

task = pytest.mark.task(6)

CONFIG = Config(11, 6, layers=1, heads=2, kv_heads=1, dim=8, hidden_dim=12, qk_norm=True)


def model_with_opinions(dtype=torch.float64, seed=0):
    """A model whose weights are all random, as after some training: a fresh one has zeros in it."""
    torch.manual_seed(seed)
    model = LLM(CONFIG)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.to(dtype)


def batch_of(rows, ignored=(), seed=0):
    random = torch.Generator().manual_seed(seed)
    tokens = torch.randint(11, (rows, 6), generator=random)
    targets = torch.randint(11, (rows, 6), generator=random)
    for row, count in enumerate(ignored):
        targets[row, :count] = IGNORED
    return {"tokens": tokens, "targets": targets}


def whole_loss(model, batch):
    logits = model(batch["tokens"])
    return F.cross_entropy(logits.flatten(0, 1), batch["targets"].flatten(), ignore_index=IGNORED)


def sgd(model):
    return [torch.optim.SGD(model.parameters(), lr=0.0)]


def weights(model):
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def gradients(model):
    there = {name: parameter.grad for name, parameter in model.named_parameters()}
    return {name: gradient for name, gradient in there.items() if gradient is not None}


def assert_same(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(
            tensor, other[name], **tolerance, msg=lambda text, name=name: f"{name}: {text}"
        )


# ---- the loss


@task
@pytest.mark.parametrize(("ignored", "counted"), [((0, 0, 0), 18), ((0, 4, 6), 8), ((5, 6, 6), 1)])
def test_the_loss_is_the_mean_over_the_targets_that_count(ignored, counted):
    model, batch = model_with_opinions(), batch_of(3, ignored)
    loss, metrics = next_token_loss(model, batch)
    torch.testing.assert_close(loss, whole_loss(model, batch))
    assert metrics["weight"] == counted


@task
def test_where_no_target_counts_the_loss_is_zero_and_asks_for_nothing():
    model = model_with_opinions()
    loss, metrics = next_token_loss(model, batch_of(2, ignored=(6, 6)))
    loss.backward()
    assert loss.item() == 0
    assert metrics["weight"] == 0
    assert not any(gradient.any() for gradient in gradients(model).values())


class Recorder(TorchDispatchMode):
    """Every operation that is run inside: how many numbers are read back, and the largest tensor that is made."""

    def __init__(self):
        super().__init__()
        self.reads = self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.reads += func == torch.ops.aten._local_scalar_dense.default
        made = [
            tensor
            for tensor in (out if isinstance(out, tuple | list) else [out])
            if isinstance(tensor, Tensor)
        ]
        self.largest = max([self.largest, *(tensor.numel() for tensor in made)])
        return out


@task
def test_the_loss_never_holds_the_logits_of_all_tokens(monkeypatch):
    """The model sums in parts, here of 6 tokens: nothing is as large as 60 tokens' logits."""
    monkeypatch.setattr(chunked_loss, "LOGITS_AT_ONCE", 6 * 300)
    model, batch = LLM(replace(CONFIG, vocab_size=300)), batch_of(10)
    with Recorder() as recorder:
        next_token_loss(model, batch)[0].backward()
    assert recorder.largest < 60 * 300 / 4
    assert not recorder.reads
    with Recorder() as plain:
        whole_loss(model, batch).backward()
    assert plain.largest == 60 * 300


# ---- accumulation and clipping


@task
@pytest.mark.parametrize("micro_batch", [0, 1])
def test_no_number_is_read_back_before_the_last_part_is_done(micro_batch):
    reads = []

    def watched(model, batch):
        reads.append(recorder.reads)
        loss, metrics = next_token_loss(model, batch)
        return loss, {**metrics, "rows": len(batch["tokens"]), "accuracy": torch.tensor(0.5)}

    model = model_with_opinions()
    with Recorder() as recorder:
        training_step(model, sgd(model), batch_of(6), 0.5, loss_fn=watched, micro_batch=micro_batch)
    assert reads == [0] * (6 if micro_batch else 1)
    assert recorder.reads <= 6, "the loss, its weight, two metrics and the norm: once a step each at most"


@task
@settings(max_examples=30)
@given(st.data(), st.integers(1, 6), st.integers(0, 7), st.sampled_from([0.05, 1.0, 100.0]))
def test_a_step_is_the_same_however_the_batch_is_cut(data, rows, micro_batch, max_norm):
    ignored = data.draw(st.lists(st.integers(0, 6), min_size=rows, max_size=rows))
    ignored[-1] = min(ignored[-1], 5)  # one target counts, at least
    batch = batch_of(rows, ignored)
    expected, model = model_with_opinions(), model_with_opinions()

    loss = whole_loss(expected, batch)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(expected.parameters(), max_norm)
    torch.optim.SGD(expected.parameters(), lr=0.5).step()
    step = training_step(model, sgd(model), batch, 0.5, micro_batch=micro_batch, max_norm=max_norm)

    # clip_grad_norm_ adds 1e-6 to the norm it divides by; and weights may be divided in float32.
    assert_same(gradients(model), gradients(expected), rtol=1e-4, atol=1e-7)
    assert_same(weights(model), weights(expected), rtol=1e-6, atol=1e-6)
    assert step.loss == pytest.approx(loss.item(), rel=1e-6)  # kept in float32
    assert step.gradient_norm == pytest.approx(norm.item(), rel=1e-6)
    assert step.applied


@task
def test_gradients_within_the_limit_are_not_touched():
    model, batch = model_with_opinions(), batch_of(4, ignored=(1, 2, 3, 4))
    expected = model_with_opinions()
    whole_loss(expected, batch).backward()
    step = training_step(model, sgd(model), batch, 0.1, micro_batch=1, max_norm=step_norm(expected) * 1.01)
    assert_same(gradients(model), gradients(expected), rtol=1e-6, atol=1e-7)
    assert step.gradient_norm == pytest.approx(step_norm(expected), rel=1e-6)


def step_norm(model):
    return math.sqrt(sum(gradient.square().sum().item() for gradient in gradients(model).values()))


@task
def test_larger_ones_are_all_scaled_by_one_factor():
    model, batch = model_with_opinions(), batch_of(4)
    expected = model_with_opinions()
    whole_loss(expected, batch).backward()
    step = training_step(model, sgd(model), batch, 0.1, max_norm=0.01)
    assert step_norm(model) == pytest.approx(0.01, rel=1e-10)
    assert step.gradient_norm == pytest.approx(step_norm(expected), rel=1e-6), "the norm before the clipping"
    scaled = {name: gradient * 0.01 / step_norm(expected) for name, gradient in gradients(expected).items()}
    assert_same(gradients(model), scaled, rtol=1e-9, atol=1e-14)


@task
def test_each_step_begins_without_the_last_ones_gradients_and_in_training_mode():
    model, batch = model_with_opinions(), batch_of(2)
    once, twice = (training_step(model.eval(), sgd(model), batch, 0.0) for _ in range(2))
    assert once == twice
    assert model.training


@task
def test_every_group_of_every_optimizer_gets_the_rate():
    model = model_with_opinions()
    matrices = [p for p in model.parameters() if p.ndim == 2]
    gains = [p for p in model.parameters() if p.ndim == 1]
    first = torch.optim.SGD([{"params": matrices[:3]}, {"params": matrices[3:]}], lr=0.0)
    second = torch.optim.SGD(gains, lr=0.0)
    before = weights(model)
    training_step(model, [first, second], batch_of(4), 0.25)
    assert [group["lr"] for optimizer in (first, second) for group in optimizer.param_groups] == [0.25] * 3
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach(), before[name] - 0.25 * gradients(model)[name])


@task
def test_a_batch_in_which_nothing_counts_changes_nothing():
    model = model_with_opinions()
    before = weights(model)
    step = training_step(model, sgd(model), batch_of(2, ignored=(6, 6)), 1.0, micro_batch=1)
    assert (step.loss, step.gradient_norm, step.applied) == (0.0, 0.0, True)
    assert_same(weights(model), before, rtol=0, atol=0)


# ---- what cannot be applied


@task
@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_leaves_the_weights_alone(factor):
    def broken(model, batch):
        loss, metrics = next_token_loss(model, batch)
        return loss * (factor if (batch["tokens"] == marked).all(dim=1).any() else 1.0), metrics

    model, batch = model_with_opinions(), batch_of(4)
    marked = batch["tokens"][2]  # one part of the batch is enough
    before = weights(model)
    step = training_step(model, sgd(model), batch, 0.5, micro_batch=1, loss_fn=broken)
    assert not step.applied
    assert not math.isfinite(step.loss)
    assert_same(weights(model), before, rtol=0, atol=0)
    assert training_step(model, sgd(model), batch, 0.5).applied, "and the next one can be taken"


@task
@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_a_gradient_that_is_not_finite_is_not_applied_though_the_loss_is(number):
    def steep(model, batch):
        """sqrt(w) at 0, whose slope is infinite."""
        slope = model(batch["tokens"]).sqrt() * (1 if number > 0 else -1)
        return (slope if math.isinf(number) else 0 * slope).mean(), {}

    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    step = training_step(model, sgd(model), {"tokens": torch.ones(2, 1)}, 0.5, loss_fn=steep)
    assert (step.loss, step.applied) == (0.0, False)
    assert step.gradient_norm == pytest.approx(abs(number), nan_ok=True)
    assert model.weight.item() == 0


@task
def test_a_norm_that_overflows_is_not_applied_though_each_gradient_is_finite():
    model = nn.Linear(4, 1, bias=False)
    before = weights(model)
    step = training_step(
        model,
        sgd(model),
        {"tokens": torch.full((2, 4), 1e20)},
        0.5,
        loss_fn=lambda model, batch: (model(batch["tokens"]).mean(), {}),
    )
    assert math.isfinite(step.loss)
    assert (step.gradient_norm, step.applied) == (math.inf, False)
    assert_same(weights(model), before, rtol=0, atol=0)


# ---- number formats


@task
def test_the_forward_pass_runs_in_the_dtype_and_weights_stay_float32():
    model, batch, seen = model_with_opinions(torch.float32), batch_of(4), []
    up = model.get_submodule("blocks.0.feed_forward.up")
    up.register_forward_hook(lambda module, given, output: seen.append(output.dtype))
    exact = model_with_opinions(torch.float32)
    step = training_step(model, sgd(model), batch, 0.5, dtype=torch.bfloat16)
    reference = training_step(exact, sgd(exact), batch, 0.5)
    assert seen == [torch.bfloat16]
    assert step.loss != reference.loss
    assert step.loss == pytest.approx(reference.loss, rel=0.02)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert {gradient.dtype for gradient in gradients(model).values()} == {torch.float32}
    assert_same(weights(model), weights(exact), rtol=0.05, atol=0.02)


@task
@pytest.mark.parametrize("micro_batch", [0, 2])
def test_a_scaled_step_is_the_unscaled_one(micro_batch):
    """In float32, where a power of two changes no digit, it is so exactly."""
    model, plain = (model_with_opinions(torch.float32) for _ in range(2))
    batch = batch_of(5, ignored=(0, 3, 5, 1, 2))
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaled = training_step(model, sgd(model), batch, 0.5, micro_batch=micro_batch, scaler=scaler)
    assert scaled == training_step(plain, sgd(plain), batch, 0.5, micro_batch=micro_batch)
    assert_same(weights(model), weights(plain), rtol=0, atol=0)
    assert scaler.get_scale() == 1024


@task
def test_float16_that_overflows_is_skipped_and_the_scale_halves():
    model, batch = model_with_opinions(torch.float32), batch_of(4)
    exact = model_with_opinions(torch.float32)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    before = weights(model)
    step = training_step(model, sgd(model), batch, 0.5, dtype=torch.float16, scaler=scaler)
    assert not step.applied
    assert math.isfinite(step.loss)
    assert scaler.get_scale() == 2.0**39
    assert_same(weights(model), before, rtol=0, atol=0)

    scaler.update(256.0)
    step = training_step(model, sgd(model), batch, 0.5, dtype=torch.float16, scaler=scaler)
    reference = training_step(exact, sgd(exact), batch, 0.5)
    assert step.applied
    assert step.gradient_norm == pytest.approx(reference.gradient_norm, rel=0.01)
    assert_same(weights(model), weights(exact), rtol=0.01, atol=0.01)


# ---- several processes


class ReduceScatters(TorchDispatchMode):
    """Counts how often FSDP adds gradients up."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += "reduce_scatter" in function.name()
        return function(*args, **(kwargs or {}))


def taken(kind, micro_batch):
    """The step of one process on all rows, or of two on half of them each, with torch's DDP or FSDP between them."""
    model, batch = model_with_opinions(), batch_of(6, ignored=(0, 1, 2, 3, 4, 5))
    wrapped, averaged = model, Counter()
    numbers = sum(parameter.numel() for parameter in model.parameters())
    if dist.is_initialized():
        if kind == "ddp":
            wrapped = DistributedDataParallel(model)

            def count(state, bucket):
                averaged["numbers"] += bucket.buffer().numel()
                return default_hooks.allreduce_hook(state, bucket)

            wrapped.register_comm_hook(None, count)
        else:
            fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
        batch = {name: part.chunk(2)[dist.get_rank()] for name, part in batch.items()}
    with ReduceScatters() as scattered:
        step = training_step(wrapped, sgd(model), batch, 0.5, micro_batch=micro_batch, max_norm=0.1)
    found = {
        name: tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        for name, tensor in weights(model).items()
    }
    shared = averaged["numbers"] / numbers if kind == "ddp" else scattered.count
    return {"step": [step.loss, step.gradient_norm], "weights": found, "shared": shared}


@task
@pytest.mark.parametrize("micro_batch", [0, 2])
@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_two_processes_take_the_step_of_one(kind, micro_batch):
    """Though the second one's rows count less than the first one's."""
    alone = taken(kind, micro_batch)
    for found in spawn(taken, kind, micro_batch):
        assert found["step"] == pytest.approx(alone["step"], rel=1e-6)
        assert_same(found["weights"], alone["weights"], rtol=1e-6, atol=1e-8)
        assert found["shared"] == 1, (
            "each gradient is shared once, with the last part's forward and backward pass"
        )


def put_off():
    wrapped = DistributedDataParallel(model_with_opinions())
    compiled = torch.compile(wrapped)
    assert isinstance(compiled, nn.Module)
    found = []
    for yes in (False, True):
        with gradient_sync(compiled, yes):
            found.append(wrapped.require_backward_grad_sync)
    return [*found, wrapped.require_backward_grad_sync]


@task
def test_sharing_is_put_off_in_a_compiled_wrapper_too():
    assert spawn(put_off, ranks=1) == [[False, True, True]]


@task
@pytest.mark.parametrize("yes", [False, True])
def test_alone_there_is_nothing_to_put_off(yes):
    model, batch = model_with_opinions(), batch_of(2)
    with gradient_sync(model, yes):
        whole_loss(model, batch).backward()
    expected = model_with_opinions()
    whole_loss(expected, batch).backward()
    assert_same(gradients(model), gradients(expected), rtol=0, atol=0)


# ---- any loss


class Line(nn.Module):
    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))


def weighted_squares(model, batch):
    """A mean over weights of the batch's own, and its largest x as a metric, a mean too once it is cut."""
    error = (model.slope * batch["x"] - batch["y"]).square()
    total = batch["weights"].sum()
    return (error * batch["weights"]).sum() / total, {"weight": total, "x": batch["x"].mean()}


@task
@pytest.mark.parametrize("micro_batch", [0, 1, 2, 3])
@pytest.mark.parametrize("size", [1.0, 0.01])
def test_parts_are_weighed_by_what_the_loss_counts(micro_batch, size):
    x = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    share = torch.tensor([8.0, 1.0, 2.0, 4.0], dtype=torch.float64) * size
    batch = {"x": x, "y": torch.zeros(4, dtype=torch.float64), "weights": share}
    model = Line()
    step = training_step(
        model, sgd(model), batch, 0.0, loss_fn=weighted_squares, micro_batch=micro_batch, max_norm=1e6
    )
    assert step.loss == pytest.approx(((2 * x) ** 2 * share).sum().item() / share.sum().item(), rel=1e-6)
    assert step.gradient_norm == pytest.approx((4 * x**2 * share).sum().item() / share.sum().item(), rel=1e-6)
    assert step.metrics.keys() == {"x"}
    if micro_batch == 1:
        assert step.metrics["x"] == pytest.approx((x * share).sum().item() / share.sum().item(), rel=1e-6)


@task
def test_without_a_weight_each_row_counts_the_same():
    def plain(model, batch):
        error = (model.slope * batch["x"] - 1).square()
        return error.mean(), {"accuracy": (error < 4).double().mean(), "rows": len(error)}

    x = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0], dtype=torch.float64)
    steps = []
    for micro_batch in (0, 3):
        model = Line()
        steps.append(training_step(model, sgd(model), {"x": x}, 0.1, loss_fn=plain, micro_batch=micro_batch))
    whole, cut = steps
    assert cut.loss == pytest.approx(whole.loss, rel=1e-6)
    assert cut.gradient_norm == pytest.approx(whole.gradient_norm, rel=1e-6)
    assert whole.metrics == {"accuracy": pytest.approx(1 / 5), "rows": 5.0}
    assert cut.metrics == {"accuracy": pytest.approx(1 / 5), "rows": pytest.approx((3 * 3 + 2 * 2) / 5)}
