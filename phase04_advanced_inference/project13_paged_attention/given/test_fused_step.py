"""The fused step against project 3's modules: in Triton's interpreter, and compiled where there is a GPU."""

import pytest
import torch

pytest.importorskip("triton", reason="there is no package triton here")

from dataclasses import replace

from phase04_advanced_inference.project13_paged_attention.given import fused_step, paged_launch
from phase04_advanced_inference.project13_paged_attention.given.cuda_graphs import GraphDecode
from phase04_advanced_inference.project13_paged_attention.given.example import (
    WIDE,
    empty_store,
    random_model,
)
from phase04_advanced_inference.project13_paged_attention.given.fused_step import FusedForward
from phase04_advanced_inference.project13_paged_attention.paged_attention import PagedStep
from shared.testing import raises

SHAPES = [WIDE[0], WIDE[1], replace(WIDE[0], kv_heads=1, norm_eps=0.1, logit_softcap=2.0, rope_base=50.0)]


def compare(config, device="cpu", dtype=torch.float32, tolerance=1e-4, graphs=False):
    model = random_model(config, dtype).to(device)
    on_cpu = device == "cpu"
    kernels = paged_launch.interpreted() if on_cpu else None
    fused = FusedForward(model, paged_launch.interpreted(fused_step.KERNELS) if on_cpu else None)
    arms = []
    for forward in (None, fused):
        store = empty_store(config, 12, 4, dtype)
        store.device = torch.device(device)
        store.keys, store.values = ([one.to(device) for one in part] for part in (store.keys, store.values))
        arms.append(GraphDecode(model, store, (2, 8), graphs, kernels, forward=forward))
    for starts, counts in [([0, 0], [3, 5]), ([3, 5], [1, 1])]:
        step = PagedStep(counts, starts, [[7, 3, 2], [0, 11]])
        modules, ours = (arm(arm.store, step, list(range(sum(counts)))).clone() for arm in arms)
        error = ((ours - modules).norm() / modules.norm()).item()
        assert error < tolerance
    for one, other in zip(arms[0].store.keys, arms[1].store.keys, strict=True):
        assert torch.equal(one.isnan(), other.isnan())


@pytest.mark.parametrize("config", SHAPES)
def test_it_gives_the_logits_of_the_modules(config):
    compare(config)


@pytest.mark.parametrize(("config", "fact"), [(WIDE[2], "qk_norm"), (WIDE[3], "squared_relu")])
def test_a_model_that_it_was_not_made_for_is_refused(config, fact):
    with raises(ValueError, fact):
        FusedForward(random_model(config, torch.float32), object())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.1)])
def test_compiled_for_a_gpu_it_is_right_too(dtype, tolerance):
    for config in SHAPES:
        for graphs in (False, True):
            compare(config, "cuda", dtype, tolerance, graphs)
