import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch

from shared.measuring import memory
from shared.measuring.memory import peak_memory

MIB = 2**20


def hold(mebibytes, seconds=0.0):
    """Take that much, fill it, keep it for a while, and give it back."""

    def run():
        taken = torch.ones(mebibytes * MIB // 4)
        time.sleep(seconds)
        del taken

    return run


@pytest.mark.parametrize("exact", [True, False])
def test_the_peak_is_seen_though_it_is_over(monkeypatch, exact):
    if not exact:
        monkeypatch.setattr(memory, "_reset_peak", lambda: False)
    elif not memory._reset_peak():
        pytest.skip("this system keeps no count that can be reset")
    # Who only looks now and then must be let look, on a busy machine too.
    assert 60 * MIB <= peak_memory(hold(64, 0 if exact else 0.5)) <= 80 * MIB
    assert peak_memory(lambda: None) < 8 * MIB


def test_a_failing_run_fails(monkeypatch):
    monkeypatch.setattr(memory, "_reset_peak", lambda: False)
    with pytest.raises(ZeroDivisionError):
        peak_memory(lambda: 1 / 0)


def test_other_systems(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "Path", lambda _: tmp_path / "missing" / "file")
    assert not memory._reset_peak()
    (tmp_path / "status").write_text("Name:\tpython\n")
    monkeypatch.setattr(memory, "Path", lambda _: tmp_path / "status")
    assert not memory._reset_peak()
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: pytest.fail("there is no malloc_trim"))
    memory._return_free_memory()


def test_on_a_gpu_torch_counts(monkeypatch):
    counts = SimpleNamespace(
        synchronize=lambda _: None,
        reset_peak_memory_stats=lambda _: None,
        memory_allocated=lambda _: 100,
        max_memory_allocated=lambda _: 350,
    )
    monkeypatch.setattr(memory.torch, "cuda", counts)
    assert peak_memory(lambda: None, "cuda") == 250


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_real_gpu():
    assert peak_memory(lambda: torch.ones(MIB, device="cuda"), "cuda") == 4 * MIB


FAULTS = """
import ctypes, resource, sys
from shared.measuring.memory import keep_freed_memory

if sys.argv[1] == "kept":
    assert keep_freed_memory()
size, count, c = 20 * 2**20, 5, ctypes.CDLL(None)
c.malloc.restype, c.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
for _ in range(5):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [c.malloc(ctypes.c_size_t(size)) for _ in range(count)]
    for block in blocks:
        ctypes.memset(block, 1, size)
    for block in blocks:
        c.free(block)
pages = count * size / resource.getpagesize()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / pages)
"""


def faults(way):
    """The share of the blocks' pages that the system must make anew when they are asked for again."""
    done = subprocess.run([sys.executable, "-c", FAULTS, way], capture_output=True, text=True, check=True)
    return float(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone has the switch")
def test_freed_memory_is_kept():
    assert faults("kept") < 0.1
    assert faults("given back") > 0.5, "or the test shows nothing"


def test_systems_without_the_switch_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not memory.keep_freed_memory()
