"""The tiled backward pass: the gradients of attention written out."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phase03_core_inference.project09_flash_attention import backward as file
from phase03_core_inference.project09_flash_attention.backward import backward, row_dots
from phase03_core_inference.project09_flash_attention.given.attention_written_out import attention_written_out
from phase03_core_inference.project09_flash_attention.given.cases import (
    CASES,
    Largest,
    gradients,
    random_inputs,
)
from phase03_core_inference.project09_flash_attention.tiles import key_tiles, visible

pytestmark = pytest.mark.task(4)


def both_ways(case, dtype=torch.float64, scale=1.0, **tiles):
    """Our gradients, and those by autograd of attention written out in float64."""
    q, k, v, dout = random_inputs(*case[:4], dtype=dtype, scale=scale)
    q64, k64, v64, dout64 = (x.double() for x in (q, k, v, dout))
    out, lse = attention_written_out(q64, k64, v64, *case[4:])
    exact = lse.to(torch.promote_types(dtype, torch.float32))
    found = backward(q, k, v, out.to(dtype), exact, dout, *case[4:], **tiles)
    attend = lambda q, k, v: attention_written_out(q, k, v, *case[4:])[0]  # noqa: E731
    return found, gradients(attend, q64, k64, v64, dout64)


def test_dots_are_sums_over_rows_in_float32():
    out = torch.tensor([[256.0, 1.0], [0.5, 2.0]], dtype=torch.bfloat16)
    dots = row_dots(out, torch.ones_like(out))
    assert dots.dtype == torch.float32
    assert dots.tolist() == [257.0, 2.5]  # bfloat16 has no 257
    fine = torch.tensor([[1 + 2**-7]], dtype=torch.bfloat16)
    assert row_dots(fine, fine).item() == (1 + 2**-7) ** 2  # nor the square of its finest number above 1


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_gradients_are_those_of_attention_written_out(case):
    for one, other in zip(*both_ways(case), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11)


@settings(max_examples=25)
@given(rows=st.integers(1, 30), columns=st.integers(1, 30), case=st.sampled_from(sorted(CASES)))
def test_the_size_of_the_tiles_does_not_matter(rows, columns, case):
    for one, other in zip(*both_ways(CASES[case], tile=(rows, columns)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("scale", [30.0, 900.0])
def test_large_scores_do_not_overflow(scale):
    for one, other in zip(*both_ways((70, 70, 1, 1, True, None), scale=scale), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-7)


def test_a_query_that_sees_no_key_adds_nothing():
    case = (80, 6, 2, 1, True, None)
    (dq, dk, dv), _ = both_ways(case)
    assert (dq[:, :, :74] == 0).all()
    q, k, v, dout = random_inputs(*case[:4])
    out, lse = attention_written_out(q, k, v)
    q[:, :, :74] = 1e3
    dout[:, :, :74] = 1e3
    _, other_dk, other_dv = backward(q, k, v, out, lse, dout, True, None)
    torch.testing.assert_close(dk, other_dk, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(dv, other_dv, rtol=1e-12, atol=1e-12)


def test_tiles_have_the_size_that_was_asked_for_and_are_masked_where_they_must_be(monkeypatch):
    met, masked = [], []

    def key_tiles_seen(first, stop, queries, keys, causal, window, tile):
        met.append((stop - first, tile))
        found = key_tiles(first, stop, queries, keys, causal, window, tile)
        masked.extend(part for part in found if part[2])
        return found

    looked = []
    monkeypatch.setattr(file, "key_tiles", key_tiles_seen)
    monkeypatch.setattr(file, "visible", lambda *arguments: looked.append(1) or visible(*arguments))
    both_ways((63, 63, 1, 1, True, None), tile=(10, 4))
    assert set(met) == {(10, 4), (3, 4)}, "tiles of 10 queries, the last one of 3, and of 4 keys"
    assert len(looked) <= len(masked), f"{len(masked)} tiles need a mask, and {len(looked)} masks were made"


def test_what_comes_in_may_lie_in_memory_as_it_likes():
    q, k, v, dout = random_inputs(40, 40, 4, 2)
    out, lse = attention_written_out(q, k, v)
    expected = backward(q, k, v, out, lse, dout, True, None)
    for order in ((0, 2, 1, 3), (0, 1, 3, 2), (3, 1, 0, 2)):  # the last is the innermost in memory
        back = [order.index(i) for i in range(4)]
        one, two, three, four, five = (
            x.permute(order).contiguous().permute(back) for x in (q, k, v, out, dout)
        )
        for found, other in zip(
            backward(one, two, three, four, lse, five, True, None), expected, strict=True
        ):
            torch.testing.assert_close(found, other, rtol=1e-11, atol=1e-12)


def test_no_tensor_comes_near_the_size_of_the_matrix():
    q, k, v, dout = random_inputs(512, 512, 1, 1, dim=8, batch=1)
    out, lse = attention_written_out(q, k, v)
    with Largest() as largest:
        backward(q, k, v, out, lse, dout, True, None)
    assert largest.entries < 512**2 / 4


def test_keys_and_values_are_not_repeated_for_a_group():
    q, k, v, dout = random_inputs(64, 256, 32, 1, dim=32, batch=1, seed=1)
    out, lse = attention_written_out(q, k, v)
    with Largest() as largest:
        backward(q, k, v, out, lse, dout, True, None, tile=(4, 16))
    assert largest.entries <= q.numel()


def test_tiles_that_nobody_sees_are_not_computed():
    q, k, v, dout = random_inputs(128, 128, 1, 1)
    out, lse = attention_written_out(q, k, v)
    k[:, :, 64:] = v[:, :, 64:] = float("nan")
    dq, _, _ = backward(q, k, v, out, lse, dout, True, None)
    assert dq[:, :, :64].isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_the_work_is_done_in_float32_and_the_gradients_have_the_dtype_of_q(dtype):
    found, expected = both_ways((100, 100, 4, 1, True, None), dtype)
    close = {torch.bfloat16: 2e-2, torch.float16: 3e-3, torch.float32: 5e-6}[dtype]
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == dtype
        torch.testing.assert_close(one.double(), other, rtol=close, atol=close * other.abs().max().item())


def test_sums_are_not_rounded_to_the_dtype_of_q_on_the_way():
    q, k, v, dout = random_inputs(400, 400, 8, 1, dim=24, batch=1, dtype=torch.bfloat16)
    q64, k64, v64, dout64 = (x.double() for x in (q, k, v, dout))
    out, lse = attention_written_out(q64, k64, v64)
    found = backward(q, k, v, out.bfloat16(), lse.float(), dout, True, None)
    expected = gradients(lambda q, k, v: attention_written_out(q, k, v)[0], q64, k64, v64, dout64)
    for one, other in zip(found, expected, strict=True):
        error = ((one.double() - other).abs().mean() / other.abs().mean()).item()
        assert error < 2e-3, f"a mean error of {error:.1e}: rounding the result alone makes 1.4e-3"


def test_what_is_given_is_not_changed():
    q, k, v, dout = random_inputs(80, 70, 1, 1)
    given = (q, k, v, *attention_written_out(q, k, v), dout)
    before = [x.clone() for x in given]
    backward(*given, True, None)
    for one, other in zip(given, before, strict=True):
        assert torch.equal(one, other)
