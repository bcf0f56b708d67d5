"""The C++ backend: attention written out and its gradients, on every case, in float32 and bfloat16."""

import pytest
import torch

from phase03_core_inference.project09_flash_attention.given import cpu
from phase03_core_inference.project09_flash_attention.given.attention_written_out import attention_written_out
from phase03_core_inference.project09_flash_attention.given.cases import CASES, gradients, random_inputs

needs_a_compiler = pytest.mark.skipif(cpu.kernels() is None, reason="there is no C++ compiler")


def both_ways(case, dim=16, scale=1.0, dtype=torch.float32):
    q, k, v, dout = random_inputs(*case[:4], dim=dim, scale=scale, dtype=dtype)
    out, lse = cpu.forward(q, k, v, *case[4:])
    q64, k64, v64, dout64 = (x.double() for x in (q, k, v, dout))
    expected = attention_written_out(q64, k64, v64, *case[4:])
    exact = expected[0].to(dtype), expected[1].float()
    found = cpu.backward(q, k, v, *exact, dout, *case[4:])
    attend = lambda q, k, v: attention_written_out(q, k, v, *case[4:])[0]  # noqa: E731
    return (out, lse, *found), (*expected, *gradients(attend, q64, k64, v64, dout64))


@needs_a_compiler
@pytest.mark.parametrize("case", [*CASES.values(), (500, 500, 3, 1, True, 100)], ids=[*CASES, "T=500"])
def test_it_is_attention_written_out(case):
    for one, other in zip(*both_ways(case), strict=True):
        torch.testing.assert_close(one.double(), other, rtol=2e-5, atol=2e-5)


@needs_a_compiler
@pytest.mark.parametrize("dim", range(16, 257, 48))
def test_heads_of_every_size_it_was_made_for(dim):
    for one, other in zip(*both_ways((70, 70, 2, 1, True, None), dim=dim), strict=True):
        torch.testing.assert_close(one.double(), other, rtol=2e-5, atol=2e-5)


@needs_a_compiler
def test_large_scores_do_not_overflow():
    out, lse, *grads = both_ways((100, 100, 2, 1, True, None), scale=900.0)[0]
    assert out.isfinite().all()
    assert lse.isfinite().all()
    assert all(x.isfinite().all() for x in grads)
    (out, lse, *_), (expected, expected_lse, *_) = both_ways((100, 100, 2, 1, True, None), scale=30.0)
    torch.testing.assert_close(out.double(), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(lse.double(), expected_lse, rtol=1e-5, atol=1e-5)


@needs_a_compiler
@pytest.mark.parametrize("native", [True, False], ids=["its own products", "float32"])
@pytest.mark.parametrize("case", [*CASES.values(), (100, 100, 4, 2, True, None)], ids=[*CASES, "T=100"])
def test_bfloat16_goes_in_and_comes_out(case, native, monkeypatch):
    if not native:
        functions = {name: run for name, run in (cpu.kernels() or {}).items() if "bfloat16" not in name}
        monkeypatch.setattr(cpu, "kernels", lambda: functions)
    found, expected = both_ways(case, dim=48, dtype=torch.bfloat16)
    torch.testing.assert_close(found[1].double(), expected[1], rtol=1e-5, atol=1e-5)
    for one, other in zip(found, expected, strict=True):
        finite = other[other.isfinite()]
        close = 2e-2 * finite.abs().max().item() if finite.numel() else 0.0
        torch.testing.assert_close(one.double(), other, rtol=2e-2, atol=max(close, 1e-2))
    assert [x.dtype for x in found] == [torch.bfloat16, torch.float32, *[torch.bfloat16] * 3]


@needs_a_compiler
def test_a_changed_key_leaves_the_queries_before_it_bit_for_bit():
    q, k, v, _ = random_inputs(100, 100, 2, 1, dtype=torch.float32)
    before, _ = cpu.forward(q, k, v, True, None)
    k[:, :, 70], v[:, :, 70] = 5.0, -1e6
    after, _ = cpu.forward(q, k, v, True, None)
    assert torch.equal(before[:, :, :70], after[:, :, :70])


@needs_a_compiler
def test_the_number_of_threads_changes_no_bit():
    q, k, v, dout = random_inputs(200, 200, 4, 2, dtype=torch.float32)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            out, lse = cpu.forward(q, k, v, True, None)
            results.append((out, lse, *cpu.backward(q, k, v, out, lse, dout, True, None)))
    finally:
        torch.set_num_threads(before)
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


@needs_a_compiler
def test_inputs_need_not_be_in_one_piece():
    q, k, v, dout = (
        x.transpose(1, 2).contiguous().transpose(1, 2)
        for x in random_inputs(50, 50, 4, 2, dtype=torch.float32)
    )
    out, lse = cpu.forward(q, k, v, True, None)
    torch.testing.assert_close(
        out, cpu.forward(q.contiguous(), k.contiguous(), v.contiguous(), True, None)[0]
    )
    constant = torch.ones(()).expand(q.shape)
    one = cpu.backward(q, k, v, out, lse, constant, True, None)
    for x, y in zip(one, cpu.backward(q, k, v, out, lse, torch.ones_like(dout), True, None), strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize(
    ("q", "facts"),
    [
        (torch.zeros(1, 1, 2, 16, dtype=torch.float16), ("float16", "float32", "bfloat16")),
        (torch.zeros(1, 1, 2, 24), ("24", "16")),
        (torch.zeros(1, 1, 2, 272), ("272", "256")),
        (torch.zeros(1, 1, 2, 16, device="meta"), ("meta", "cpu")),
    ],
)
def test_what_it_was_not_made_for_is_named(q, facts):
    assert all(fact in str(cpu.fault(q)) for fact in facts)
    with pytest.raises(ValueError, match=facts[0]):
        cpu.forward(q, q, q, True, None)
    with pytest.raises(ValueError, match=facts[0]):
        cpu.backward(q, q, q, q, q[..., 0], q, True, None)


def test_without_a_compiler_it_says_what_else_there_is(monkeypatch):
    monkeypatch.setattr(cpu, "kernels", lambda: None)
    q = torch.zeros(1, 1, 2, 16)
    with pytest.raises(RuntimeError, match="tiles"):
        cpu.forward(q, q, q, True, None)
