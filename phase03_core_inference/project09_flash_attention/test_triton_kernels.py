"""The Triton kernels, in Triton's interpreter, on the CPU: attention written out, and its gradients.

On a machine with a GPU the benchmark's gpu preset holds the compiled kernels to the same formula.
"""

import pytest
import torch

pytest.importorskip("triton", reason="there is no package triton here")

from phase03_core_inference.project09_flash_attention.given import triton_launch as launch
from phase03_core_inference.project09_flash_attention.given.attention_written_out import attention_written_out
from phase03_core_inference.project09_flash_attention.given.cases import CASES, gradients, random_inputs
from phase03_core_inference.project09_flash_attention.given.triton_launch import Tiles

# The interpreter's bfloat16 products are wrong, so only these two. The work itself is in float32.
TOLERANCE = {torch.float32: 3e-6, torch.float16: 2e-3}
WITH_WORK = {name: case for name, case in CASES.items() if case[0] and case[1]}
SMALL = [Tiles(16, 16), Tiles(16, 32), Tiles(64, 16)]


def forward(q, k, v, *settings, tiles=None):
    return launch.forward(q, k, v, *settings, kernels=launch.interpreted(), tiles=tiles)


def exact(case, dtype=torch.float32, scale=1.0):
    """Inputs of that dtype, and what comes of them in float64: out, lse, dq, dk, dv."""
    given = random_inputs(*case[:4], dtype=dtype, scale=scale)
    q, k, v, dout = (x.double() for x in given)
    attend = lambda q, k, v: attention_written_out(q, k, v, *case[4:])[0]  # noqa: E731
    return given, [*attention_written_out(q, k, v, *case[4:]), *gradients(attend, q, k, v, dout)]


def backward(case, given, out, lse, **tiles):
    q, k, v, dout = given
    out, lse = out.to(q.dtype), lse.float()
    return launch.backward(q, k, v, out, lse, dout, *case[4:], kernels=launch.interpreted(), **tiles)


def guarded(queries):
    """Room for a number a query, (1, 1, queries), and the buffer in which it lies, 64 guards after it."""
    buffer = torch.full((queries + 64,), 7.0)
    return buffer[:queries].view(1, 1, queries), buffer


# This one is the first: what is written beyond a buffer can end the process, in any test.
@pytest.mark.task(7)
def test_rows_behind_the_last_query_write_no_log_sum_exp():
    q, k, v, _ = random_inputs(47, 47, 1, 1, batch=1, dtype=torch.float32)
    lse, buffer = guarded(47)
    launch.fill(q, k, v, torch.empty_like(q), lse, True, None, launch.interpreted(), Tiles(32, 32))
    assert (buffer[47:] == 7).all(), "the store of lse goes beyond the last query: it needs a mask"


@pytest.mark.task(8)
def test_rows_behind_the_last_query_write_no_dots():
    q, _, _, dout = random_inputs(47, 47, 1, 1, batch=1, dtype=torch.float32)
    dots, buffer = guarded(47)
    launch.row_dots(q, dout, launch.interpreted(), dots)
    assert (buffer[47:] == 7).all(), "the store of dots goes beyond the last query: it needs a mask"


@pytest.mark.task(7)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", WITH_WORK.values(), ids=WITH_WORK)
def test_output_and_log_sum_exp_are_those_of_attention_written_out(case, dtype):
    (q, k, v, _), (expected_out, expected_lse, *_) = exact(case, dtype)
    out, lse = forward(q, k, v, *case[4:])
    close = TOLERANCE[dtype]
    assert out.dtype == dtype
    assert lse.dtype == torch.float32
    torch.testing.assert_close(out.double(), expected_out, rtol=close, atol=close)
    torch.testing.assert_close(lse.double(), expected_lse, rtol=3e-6, atol=3e-6)


@pytest.mark.task(7)
@pytest.mark.parametrize("tiles", SMALL, ids=str)
@pytest.mark.parametrize("name", ["a window", "T=47", "fewer queries than keys", "more queries than keys"])
def test_the_size_of_the_tiles_does_not_matter(name, tiles):
    (q, k, v, _), (expected_out, expected_lse, *_) = exact(CASES[name])
    out, lse = forward(q, k, v, *CASES[name][4:], tiles=tiles)
    torch.testing.assert_close(out.double(), expected_out, rtol=3e-6, atol=3e-6)
    torch.testing.assert_close(lse.double(), expected_lse, rtol=3e-6, atol=3e-6)


@pytest.mark.task(7)
def test_large_scores_do_not_overflow():
    (q, k, v, _), (expected_out, expected_lse, *_) = exact((70, 70, 1, 1, True, None), scale=900.0)
    out, lse = forward(q, k, v, True, None)
    torch.testing.assert_close(lse.double(), expected_lse, rtol=1e-5, atol=1e-2)
    torch.testing.assert_close(
        out.double(), expected_out, rtol=2e-3, atol=2e-3
    )  # e^x of an x with few digits left


@pytest.mark.task(7)
def test_a_query_that_sees_no_key_gets_nothing():
    q, k, v, _ = random_inputs(50, 6, 2, 1, dtype=torch.float32)
    out, lse = forward(q, k, v, True, None)
    assert (out[:, :, :44] == 0).all()
    assert (lse[:, :, :44] == float("-inf")).all()


@pytest.mark.task(7)
def test_a_changed_key_leaves_the_queries_before_it_bit_for_bit():
    q, k, v, _ = random_inputs(50, 50, 2, 1, dtype=torch.float32)
    before, _ = forward(q, k, v, True, None)
    k[:, :, 37], v[:, :, 37] = 5.0, -1e6
    after, _ = forward(q, k, v, True, None)
    assert torch.equal(before[:, :, :37], after[:, :, :37])
    assert (before[:, :, 37:] != after[:, :, 37:]).any(-1).all()


@pytest.mark.task(7)
def test_tiles_that_nobody_sees_are_not_read():
    q, k, v, _ = random_inputs(96, 96, 1, 1, dtype=torch.float32)
    unread = v.clone()
    unread[:, :, 64:] = float("nan")
    out, _ = forward(q, k, unread, True, None, tiles=Tiles(32, 32))
    assert out[:, :, :64].isfinite().all()
    unread = v.clone()
    unread[:, :, :32] = float("nan")
    out, _ = forward(q, k, unread, True, 20, tiles=Tiles(32, 32))
    assert out[:, :, 64:].isfinite().all()


@pytest.mark.task(8)
def test_dots_are_sums_over_rows():
    q, _, _, dout = random_inputs(70, 1, 3, 1, dtype=torch.float32)
    dots = launch.row_dots(q, dout, launch.interpreted())
    torch.testing.assert_close(dots.double(), (q.double() * dout.double()).sum(-1), rtol=1e-5, atol=1e-5)
    large = torch.full((1, 1, 5, 16), 300.0, dtype=torch.float16)  # 300 · 300 is more than float16 holds
    assert (launch.row_dots(large, large, launch.interpreted()) == 16 * 90_000).all()


@pytest.mark.task(8)
@pytest.mark.parametrize("case", WITH_WORK.values(), ids=WITH_WORK)
def test_gradients_are_those_of_attention_written_out(case):
    given, (out, lse, *expected) = exact(case)
    for one, other in zip(backward(case, given, out, lse), expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5)


@pytest.mark.task(8)
@pytest.mark.parametrize("tiles", SMALL, ids=str)
@pytest.mark.parametrize("name", ["a window", "T=47", "fewer queries than keys", "more queries than keys"])
def test_the_size_of_the_tiles_does_not_matter_for_gradients(name, tiles):
    given, (out, lse, *expected) = exact(CASES[name])
    found = backward(CASES[name], given, out, lse, key_tiles=tiles, query_tiles=tiles)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5)


@pytest.mark.task(8)
def test_gradients_in_float16():
    case = (50, 50, 4, 2, True, None)
    given, (out, lse, *expected) = exact(case, torch.float16)
    for one, other in zip(backward(case, given, out, lse), expected, strict=True):
        assert one.dtype == torch.float16
        torch.testing.assert_close(one.double(), other, rtol=5e-3, atol=5e-3)


@pytest.mark.task(8)
@pytest.mark.filterwarnings(
    "ignore::RuntimeWarning"
)  # numpy's: what is behind the last key may overflow, unwritten
def test_large_scores_do_not_overflow_backward():
    # Every score is about -300: weights of rows and columns behind the ends, e^(0 + 300), would be infinite.
    q, k, v, dout = random_inputs(50, 50, 1, 1, dtype=torch.float32)
    q, k = q.abs() * 8, -k.abs() * 8
    q64, k64, v64 = (x.double() for x in (q, k, v))
    out, lse = attention_written_out(q64, k64, v64)
    attend = lambda q, k, v: attention_written_out(q, k, v)[0]  # noqa: E731
    expected = gradients(attend, q64, k64, v64, dout.double())
    found = backward((50, 50, 1, 1, True, None), (q, k, v, dout), out, lse)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-3, atol=1e-3 * other.abs().max().item())


@pytest.mark.task(8)
def test_a_query_that_sees_no_key_adds_nothing_to_gradients():
    case = (50, 6, 2, 1, True, None)
    given, (out, lse, *_) = exact(case)
    dq, dk, dv = backward(case, given, out, lse)
    assert (dq[:, :, :44] == 0).all()
    given[3][:, :, :44] = 1e3
    _, other_dk, other_dv = backward(case, given, out, lse)
    torch.testing.assert_close(dk, other_dk, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(dv, other_dv, rtol=1e-6, atol=1e-6)


@pytest.mark.task(8)
def test_tiles_that_nobody_sees_are_not_read_for_gradients():
    case = (96, 96, 1, 1, True, None)
    (q, k, v, dout), (out, lse, *_) = exact(case)
    tiles = {"key_tiles": Tiles(32, 32), "query_tiles": Tiles(32, 32)}
    dout[:, :, :32] = float("nan")  # these queries see only the first tile of keys
    _, dk, dv = backward(case, (q, k, v, dout), out, lse, **tiles)
    assert dk[:, :, 32:].isfinite().all()
    assert dv[:, :, 32:].isfinite().all()
    dout[:, :, :32] = 0.0
    k[:, :, 64:] = v[:, :, 64:] = float("nan")
    dq, _, _ = backward(case, (q, k, v, dout), out, lse, **tiles)
    assert dq[:, :, :64].isfinite().all()


@pytest.mark.task(8)
def test_tiles_outside_the_window_are_not_read_for_gradients():
    case = (96, 96, 1, 1, True, 20)
    (q, k, v, dout), (out, lse, *_) = exact(case)
    tiles = {"key_tiles": Tiles(32, 32), "query_tiles": Tiles(32, 32)}
    dout[:, :, 64:] = float("nan")  # these queries see the keys from 45 on
    _, dk, dv = backward(case, (q, k, v, dout), out, lse, **tiles)
    assert dk[:, :, :32].isfinite().all()
    assert dv[:, :, :32].isfinite().all()
    dout[:, :, 64:] = 1.0
    k[:, :, :32] = v[:, :, :32] = float("nan")
    dq, _, _ = backward(case, (q, k, v, dout), out, lse, **tiles)
    assert dq[:, :, 64:].isfinite().all()
