"""The GPU's part of the benchmark, once, on a CPU, by Triton's interpreter; the figures mean nothing."""

import pytest
import torch

pytest.importorskip("triton", reason="there is no package triton here")

import json
from dataclasses import replace

from phase04_advanced_inference.project13_paged_attention.given import fused_step, measure_gpu, paged_launch
from phase04_advanced_inference.project13_paged_attention.given.example import TINY
from phase04_advanced_inference.project13_paged_attention.given.measure_gpu import Gpu, GpuSettings
from phase04_advanced_inference.project13_paged_attention.given.workload import WorkloadSettings
from shared.measuring.arms import Report

PARTS = {
    "the same texts as on a CPU": "texts written alike on a GPU and on a CPU",
    "attention over blocks": "paged attention, 124M, 2 × 6 tokens, bfloat16, share of bandwidth",
    "decoding steps, 124M": "whole step, 124M, batch 2, bfloat16, GPU",
    "the workload, 124M": "workload, 124M, bfloat16, GPU",
}


@pytest.mark.parametrize("title", PARTS)
def test_a_part_runs(tmp_path, monkeypatch, title):
    config = replace(TINY, head_dim=16, layers=1, heads=2, kv_heads=1)
    monkeypatch.setattr(measure_gpu, "SHAPES", {"124M": config})
    monkeypatch.setattr(measure_gpu, "WARPS", (2,))
    monkeypatch.setattr(measure_gpu, "memory_bandwidth", lambda device, megabytes: 1e9)
    monkeypatch.setenv("LADDER_RESULTS", str(tmp_path))
    few = WorkloadSettings(
        requests=3, prompt=4, shared=8, prefixes=1, answer=2, longest=5, size=2, budget=16, memory=128
    )
    settings = GpuSettings(
        models=("124M",), batches=(2,), held=6, block_size=4, block_sizes=(4,), shapes=((2, 6),), repeats=1,
        texts=2, tokens=2, workload=few,
    )  # fmt: skip
    report = Report(tmp_path, "promise", "gpu")
    kernels = {"paged": paged_launch.interpreted(), "fused": paged_launch.interpreted(fused_step.KERNELS)}
    gpu = Gpu(report, settings, torch.device("cpu"), kernels)
    parts = dict(gpu.parts())
    assert list(parts) == list(PARTS)
    parts[title]()
    assert json.loads(report.save().read_text())["measured"][PARTS[title]]["value"] > 0
