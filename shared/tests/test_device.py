import random
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from shared import device


def pretend(monkeypatch, *, cuda=0, mps=False):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


def test_auto_takes_the_fastest_there_is(monkeypatch):
    pretend(monkeypatch)
    assert device.pick_device() == torch.device("cpu")
    pretend(monkeypatch, mps=True)
    assert device.pick_device("auto") == torch.device("mps")
    pretend(monkeypatch, cuda=2, mps=True)
    assert device.pick_device("auto") == torch.device("cuda")
    assert device.pick_device("cuda:1") == torch.device("cuda:1")
    assert device.pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "words"), [("gpu", "cuda:<number>"), ("mps", r"it has \['cpu', 'cuda'\]"), ("cuda:2", "2 GPUs")]
)
def test_a_device_that_is_not_there(monkeypatch, name, words):
    pretend(monkeypatch, cuda=2)
    with pytest.raises(ValueError, match=words):
        device.pick_device(name)


@pytest.mark.parametrize(
    ("abilities", "dtype"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, torch.bfloat16),
        ({"avx512_bf16": False, "amx_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": False, "amx_bf16": False}, torch.float32),
        ({}, torch.float32),  # what other processors list is something else
    ],
)
def test_auto_dtype_is_bfloat16_only_where_it_is_fast(monkeypatch, abilities, dtype):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities)
    assert device.pick_dtype() == dtype
    assert device.pick_dtype("auto", "mps") == torch.float32


def test_auto_dtype_on_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation)
    assert device.pick_dtype("auto", torch.device("cuda")) == torch.bfloat16


def test_dtypes_by_name():
    assert [device.pick_dtype(name) for name in device.DTYPES] == list(device.DTYPES.values())
    with pytest.raises(ValueError, match="'fp8'; use auto, float32, bfloat16, float16"):
        device.pick_dtype("fp8")


def test_autocast():
    a = torch.randn(4, 4)
    with device.autocast("cpu", torch.bfloat16):
        assert (a @ a).dtype == torch.bfloat16
    assert isinstance(device.autocast("cpu", torch.float32), nullcontext)


def test_a_seed_repeats_everything():
    def draw():
        generator = device.seed_everything(5)
        numbers = [random.random(), np.random.rand(), torch.rand(()).item()]  # noqa: NPY002
        return [*numbers, torch.rand((), generator=generator).item()]

    assert draw() == draw()
    for seed in (-1, 2**32):
        with pytest.raises(ValueError, match=f"from 0 to 4294967295, not {seed}"):
            device.seed_everything(seed)


def test_threads(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setattr(device, "cores", lambda: 2)
    try:
        assert device.set_threads(1) == 1
        assert device.set_threads() == 2
        assert device.set_threads(64) == 2
    finally:
        torch.set_num_threads(before)
    with pytest.raises(ValueError, match="not -1"):
        device.set_threads(-1)


def test_the_description_has_what_a_measurement_needs():
    facts = device.describe()
    assert facts["device"] == facts["cpu"] == device.cpu_name()
    assert facts["threads"] == torch.get_num_threads()
    assert facts["torch"] == torch.__version__
    assert float(facts["memory"]) > 0


@pytest.mark.parametrize(
    ("cpu", "cores", "slug"),
    [
        ("AMD EPYC", 2, "amd-epyc-2-cores"),
        ("Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz", 8, "intel-core-i7-8550u-8-cores"),
        ("AMD Ryzen 7 5800X 8-Core Processor", 1, "amd-ryzen-7-5800x-1-core"),
        ("AMD Ryzen 5 PRO 4650U with Radeon Graphics", 12, "amd-ryzen-5-pro-4650u-12-cores"),
        ("Apple M3", 8, "apple-m3-8-cores"),
    ],
)
def test_slugs_of_processors(monkeypatch, cpu, cores, slug):
    monkeypatch.setattr(device, "cpu_name", lambda: cpu)
    monkeypatch.setattr(device, "cores", lambda: cores)
    assert device.slug() == slug


def test_slugs_of_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H100 80GB HBM3")
    properties = SimpleNamespace(total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    assert device.slug("cuda") == "nvidia-h100-80gb-hbm3"
    assert device.describe("cuda")["gpu_memory"] == 80.0
    monkeypatch.setattr(device, "cpu_name", lambda: "Apple M3")
    assert device.slug("mps") == "apple-m3-gpu"


@pytest.mark.parametrize(
    ("problem", "asked"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.44 GiB. GPU 0 has"),
            ": 2.44 GiB more",
        ),
        (
            RuntimeError(
                "DefaultCPUAllocator: can't allocate memory: you tried to allocate 5368709120 bytes."
            ),
            ": 5.00 GiB",
        ),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
            "; lower it",
        ),
        (MemoryError("Unable to allocate 7.45 GiB for an array"), ": 7.45 GiB"),
        (MemoryError(), "; lower it"),
    ],
)
def test_out_of_memory_is_told_in_one_line_with_what_was_asked_for(problem, asked):
    with pytest.raises(device.OutOfMemoryError) as caught, device.explains_out_of_memory("cuda", "lower it"):
        raise problem
    message = str(caught.value)
    assert message.startswith(f"out of memory on cuda{asked}")
    assert message.endswith("; lower it")
    assert caught.value.__cause__ is problem


def test_the_nearest_explanation_stays_and_other_errors_pass():
    with (
        pytest.raises(device.OutOfMemoryError, match="inner"),
        device.explains_out_of_memory("cpu", "outer"),
        device.explains_out_of_memory("cpu", "inner"),
    ):
        raise MemoryError
    with pytest.raises(RuntimeError, match="shapes differ"), device.explains_out_of_memory("cpu", "lower it"):
        raise RuntimeError("shapes differ")


def test_a_real_allocation_that_is_too_large_is_explained():
    with (
        pytest.raises(device.OutOfMemoryError, match="GiB more were asked for"),
        device.explains_out_of_memory("cpu", ""),
    ):
        torch.empty(2**56, dtype=torch.uint8)
