import math

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode

from phase01_foundation.project03_pretrain.batches import IGNORED
from phase01_foundation.project03_pretrain.given import chunked_loss
from phase01_foundation.project03_pretrain.model import LLM, Config
from phase01_foundation.project03_pretrain.parallel import parallelize
from phase01_foundation.project03_pretrain.step import next_token_loss, training_step
from shared.device import autocast
from shared.processes import spawn

VOCABULARY = 500  # so that a part's logits are larger than anything else the model makes


def model(dtype=torch.float32, **shape):
    torch.manual_seed(0)
    shape = {"layers": 1, "heads": 2, "kv_heads": 1, "dim": 8, "hidden_dim": 12, **shape}
    llm = LLM(Config(VOCABULARY, 16, **shape))
    for parameter in llm.parameters():
        nn.init.normal_(parameter, std=0.3)
    return llm.to(dtype)


def batch(ignored=True):
    random = torch.Generator().manual_seed(0)
    tokens, targets = (torch.randint(VOCABULARY, (5, 16), generator=random) for _ in range(2))
    if ignored:
        targets[1, :9] = IGNORED
        targets[3] = IGNORED  # all of some part
    return {"tokens": tokens, "targets": targets}


def chunks_of(monkeypatch, rows):
    monkeypatch.setattr(chunked_loss, "LOGITS_AT_ONCE", rows * VOCABULARY)


def plain(llm, batch):
    logits = llm(batch["tokens"])
    return F.cross_entropy(logits.flatten(0, 1), batch["targets"].flatten(), ignore_index=IGNORED)


def gradients(llm):
    return {name: parameter.grad for name, parameter in llm.named_parameters()}


class Largest(TorchDispatchMode):
    """How many numbers the largest tensor has that anything inside makes, in float32 or wider."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, torch.Tensor) and tensor.dtype in (torch.float32, torch.float64):
                self.count = max(self.count, tensor.numel())
        return out


@pytest.mark.parametrize("rows", [1, 7, 16, 79, 80])
@pytest.mark.parametrize("shape", [{}, {"logit_softcap": 2.0}, {"tied_embeddings": True}])
def test_in_parts_the_loss_and_its_gradients_are_the_same(monkeypatch, rows, shape):
    expected, llm = (model(torch.float64, **shape) for _ in range(2))
    loss = plain(expected, batch())
    loss.backward()
    chunks_of(monkeypatch, rows)
    found, _ = next_token_loss(llm, batch())
    found.backward()
    torch.testing.assert_close(found, loss, rtol=1e-12, atol=0)
    torch.testing.assert_close(gradients(llm), gradients(expected), rtol=1e-10, atol=1e-14)


def test_under_bfloat16_they_are_those_of_bfloat16(monkeypatch):
    expected, llm = model(), model()
    with autocast("cpu", torch.bfloat16):
        loss = plain(expected, batch())
    loss.backward()
    chunks_of(monkeypatch, 16)
    with autocast("cpu", torch.bfloat16):
        found, _ = next_token_loss(llm, batch())
    found.backward()
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, loss, rtol=1e-6, atol=0)
    # The head's gradient adds up parts that were each rounded to bfloat16.
    torch.testing.assert_close(gradients(llm), gradients(expected), rtol=0.02, atol=1e-3)


def test_where_no_target_counts_the_loss_is_zero(monkeypatch):
    chunks_of(monkeypatch, 16)
    nothing = batch()
    nothing["targets"][:] = IGNORED
    loss, metrics = next_token_loss(model(), nothing)
    loss.backward()
    assert (loss.detach(), metrics["weight"]) == (0, 0)


def test_a_loss_that_is_not_finite_stays_so(monkeypatch):
    chunks_of(monkeypatch, 16)
    llm = model()
    with torch.no_grad():
        llm.head.weight[0, 0] = math.nan
    assert next_token_loss(llm, batch())[0].isnan()


@pytest.mark.parametrize("with_gradients", [True, False])
def test_the_logits_of_the_whole_batch_never_exist(monkeypatch, with_gradients):
    """Every tensor that forward and backward make is counted: the largest is a part's logits."""
    chunks_of(monkeypatch, 16)
    llm, kept = model(), []
    with (
        Largest() as largest,
        torch.set_grad_enabled(with_gradients),
        torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x),
    ):
        loss, _ = next_token_loss(llm, batch())
        assert not kept or max(kept) < 16 * VOCABULARY, "a part's logits are kept for the way back"
        if with_gradients:
            loss.backward()
    assert largest.count == 16 * VOCABULARY
    with Largest() as whole:
        plain(llm, batch())
    assert whole.count == 80 * VOCABULARY, "the count does not see logits"


def test_a_small_batch_is_taken_as_it_is(monkeypatch):
    """No part is made twice."""
    monkeypatch.setattr(chunked_loss, "checkpoint", lambda *arguments, **options: pytest.fail("in parts"))
    llm = model()
    loss, metrics = next_token_loss(llm, batch())
    logits, targets = llm(batch()["tokens"]), batch()["targets"]
    total = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum")
    torch.testing.assert_close(loss, total / metrics["weight"])


def shared_step(kind):
    """The step's loss, its gradient norm and the head's new weights, with the loss in parts, as `kind` shares them."""
    chunked_loss.LOGITS_AT_ONCE = 7 * VOCABULARY
    processes = dist.get_world_size() if dist.is_initialized() else 1
    rank = dist.get_rank() if dist.is_initialized() else 0
    llm = model()
    wrapped = parallelize(llm, kind) if processes > 1 else llm
    rows = {name: part[:4].chunk(processes)[rank] for name, part in batch().items()}
    step = training_step(wrapped, [torch.optim.SGD(llm.parameters(), lr=0.0)], rows, 0.1)
    weight = llm.head.weight
    whole = weight.full_tensor() if isinstance(weight, DTensor) else weight
    return [step.loss, step.gradient_norm, *whole.detach().flatten().tolist()]


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_two_processes_add_up_parts_to_what_one_has(monkeypatch, kind):
    monkeypatch.setattr(chunked_loss, "LOGITS_AT_ONCE", chunked_loss.LOGITS_AT_ONCE)  # put back after `alone`
    alone = shared_step(kind)
    for found in spawn(shared_step, kind):
        assert found == pytest.approx(alone, rel=1e-4, abs=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_a_gpu_in_parts_the_loss_is_the_same_and_memory_is_less(monkeypatch):
    from shared.measuring.memory import peak_memory

    tokens = torch.randint(VOCABULARY, (2048, 16), device="cuda")
    big = {"tokens": tokens, "targets": tokens.roll(1, dims=1)}
    losses, peaks = [], []
    for rows in (tokens.numel(), 1024):
        chunks_of(monkeypatch, rows)
        llm = model(dim=64, hidden_dim=64).cuda()

        def both(llm=llm):
            with autocast("cuda", torch.bfloat16):
                loss, _ = next_token_loss(llm, big)
            loss.backward()
            losses.append(loss.item())

        both()
        peaks.append(peak_memory(both, "cuda"))
    assert losses[-1] == pytest.approx(losses[0], rel=1e-4)
    assert peaks[1] < peaks[0]
