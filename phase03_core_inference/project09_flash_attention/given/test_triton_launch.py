"""What surrounds the Triton kernels: what is refused, and what is passed on or copied."""

import pytest
import torch

from phase03_core_inference.project09_flash_attention.given import triton_launch as launch
from phase03_core_inference.project09_flash_attention.given.attention_written_out import attention_written_out
from phase03_core_inference.project09_flash_attention.given.cases import gradients, random_inputs


@pytest.mark.parametrize(
    ("q", "facts"),
    [
        (torch.zeros(1, 1, 2, 64, dtype=torch.float64), ("float64", "float16")),
        (torch.zeros(1, 1, 2, 48), ("48", "64", "128")),
        (torch.zeros(1, 1, 2, 64), ("cpu", "cuda")),
    ],
)
def test_what_the_kernels_were_not_made_for_is_named(q, facts):
    assert all(fact in str(launch.fault(q)) for fact in facts)


def test_only_what_a_descriptor_cannot_point_at_is_copied():
    x = torch.zeros(2, 50, 4, 16)
    assert launch.readable(x.transpose(1, 2)).data_ptr() == x.data_ptr()
    for odd in (
        x.mT,  # rows are not in one piece
        torch.zeros(()).expand(2, 4, 50, 16),
        torch.zeros(2, 4, 50, 17)[..., :16],  # a row begins anywhere
        torch.zeros(1 + 2 * 4 * 50 * 16)[1:].view(2, 4, 50, 16),
    ):
        copy = launch.readable(odd)
        assert copy.is_contiguous()
        assert torch.equal(copy, odd)


def test_what_comes_in_may_lie_in_memory_as_it_likes():
    pytest.importorskip("triton", reason="there is no package triton here")
    q, k, v, dout = random_inputs(20, 20, 2, 1, dtype=torch.float32)
    q64, k64, v64, dout64 = (x.double() for x in (q, k, v, dout))
    expected, lse = attention_written_out(q64, k64, v64)
    q, k, v, dout = (x.mT.contiguous().mT for x in (q, k, v, dout))
    kernels = launch.interpreted()
    out, _ = launch.forward(q, k, v, True, None, kernels)
    torch.testing.assert_close(out.double(), expected, rtol=1e-5, atol=1e-5)
    found = launch.backward(q, k, v, out.mT.contiguous().mT, lse.float(), dout, True, None, kernels)
    exact = gradients(lambda q, k, v: attention_written_out(q, k, v)[0], q64, k64, v64, dout64)
    for one, other in zip(found, exact, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-4)


def test_nothing_is_launched_without_queries_or_keys():
    kernels = object()  # has no kernels
    q, none = torch.zeros(1, 2, 3, 16), torch.zeros(1, 2, 0, 16)
    out, lse = launch.forward(q, none, none, True, None, kernels=kernels)
    assert (out == 0).all()
    assert (lse == float("-inf")).all()
    assert launch.forward(none, q, q, True, None, kernels=kernels)[0].shape == none.shape
    grads = launch.backward(q, none, none, out, lse, q, True, None, kernels=kernels)
    assert [x.shape for x in grads] == [q.shape, none.shape, none.shape]
    assert (grads[0] == 0).all()


def test_the_interpreter_s_copy_leaves_the_other_one_alone():
    triton = pytest.importorskip("triton", reason="there is no package triton here")
    first = launch.interpreted()
    assert first.triton is not triton
    assert type(first.forward_kernel).__name__ == "InterpretedFunction"
    assert type(launch.compiled().forward_kernel).__name__ == "JITFunction"
    assert launch.compiled().triton is triton
