"""The tiled forward pass: attention written out, whatever the tiles, with no (queries, keys) matrix on the way."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from phase03_core_inference.project09_flash_attention import forward as file
from phase03_core_inference.project09_flash_attention.forward import forward
from phase03_core_inference.project09_flash_attention.given.attention_written_out import attention_written_out
from phase03_core_inference.project09_flash_attention.given.cases import CASES, Largest, random_inputs
from phase03_core_inference.project09_flash_attention.tiles import key_tiles, visible

pytestmark = pytest.mark.task(3)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_output_and_log_sum_exp_are_those_of_attention_written_out(case):
    q, k, v, _ = random_inputs(*case[:4])
    out, lse = forward(q, k, v, *case[4:])
    expected_out, expected_lse = attention_written_out(q, k, v, *case[4:])
    torch.testing.assert_close(out, expected_out, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(lse, expected_lse, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("time", [1, 5, 47, 64, 65, 100, 129, 500])
def test_it_equals_torch(time):
    q, k, v, _ = random_inputs(time, time, 2, 2)
    out, _ = forward(q, k, v, True, None)
    torch.testing.assert_close(
        out, scaled_dot_product_attention(q, k, v, is_causal=True), rtol=1e-11, atol=1e-12
    )


@settings(max_examples=25)
@given(rows=st.integers(1, 30), columns=st.integers(1, 30), case=st.sampled_from(sorted(CASES)))
def test_the_size_of_the_tiles_does_not_matter(rows, columns, case):
    case = CASES[case]
    q, k, v, _ = random_inputs(*case[:4], dim=4, batch=1)
    out, lse = forward(q, k, v, *case[4:], tile=(rows, columns))
    expected_out, expected_lse = attention_written_out(q, k, v, *case[4:])
    torch.testing.assert_close(out, expected_out, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(lse, expected_lse, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scale", [900.0, 1e4])
def test_large_scores_do_not_overflow(scale):
    q, k, v, _ = random_inputs(70, 70, 1, 1, scale=scale)
    out, lse = forward(q, k, v, True, None)
    expected_out, expected_lse = attention_written_out(q, k, v)
    torch.testing.assert_close(out, expected_out, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(lse, expected_lse, rtol=1e-12, atol=1e-8)


def test_a_query_that_sees_no_key_gets_nothing():
    q, k, v, _ = random_inputs(70, 6, 2, 1)
    out, lse = forward(q, k, v, True, None)
    assert (out[:, :, :64] == 0).all()
    assert (lse[:, :, :64] == float("-inf")).all()
    assert out[:, :, 64:].isfinite().all()
    assert lse[:, :, 64:].isfinite().all()


@pytest.mark.parametrize("changed", [0, 40, 63, 64, 99])
def test_a_changed_key_leaves_the_queries_before_it_bit_for_bit(changed):
    q, k, v, _ = random_inputs(100, 100, 2, 1)
    before, _ = forward(q, k, v, True, None)
    k[:, :, changed] += 100
    v[:, :, changed] = -1e6
    after, _ = forward(q, k, v, True, None)
    assert torch.equal(before[:, :, :changed], after[:, :, :changed])
    assert (before[:, :, changed:] != after[:, :, changed:]).any(-1).all()


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
    q, k, v, _ = random_inputs(63, 63, 1, 1)
    forward(q, k, v, True, None, tile=(10, 4))
    assert set(met) == {(10, 4), (3, 4)}, "tiles of 10 queries, the last one of 3, and of 4 keys"
    assert len(looked) <= len(masked), f"{len(masked)} tiles need a mask, and {len(looked)} masks were made"


def test_queries_keys_and_values_may_lie_in_memory_as_they_like():
    q, k, v, _ = random_inputs(40, 40, 4, 2)
    expected = forward(q, k, v, True, 9)
    for order in ((0, 2, 1, 3), (0, 1, 3, 2), (3, 1, 0, 2)):  # the last is the innermost in memory
        back = [order.index(i) for i in range(4)]
        one, two, three = (x.permute(order).contiguous().permute(back) for x in (q, k, v))
        for found, other in zip(forward(one, two, three, True, 9), expected, strict=True):
            torch.testing.assert_close(found, other, rtol=1e-11, atol=1e-12)


def test_no_tensor_comes_near_the_size_of_the_matrix():
    q, k, v, _ = random_inputs(512, 512, 1, 1, dim=8, batch=1)
    with Largest() as largest:
        forward(q, k, v, True, None)
    assert largest.entries < 512**2 / 4


def test_keys_and_values_are_not_repeated_for_a_group():
    q, k, v, _ = random_inputs(64, 256, 32, 1, dim=32, batch=1, seed=1)
    with Largest() as largest:
        forward(q, k, v, True, None, tile=(4, 16))
    assert largest.entries <= q.numel()


def test_tiles_that_nobody_sees_are_not_computed():
    q, k, v, _ = random_inputs(128, 128, 1, 1)
    k[:, :, 64:] = v[:, :, 64:] = float("nan")
    out, _ = forward(q, k, v, True, None)
    assert out[:, :, :64].isfinite().all()
    k, v = (x.nan_to_num().roll(64, dims=2) for x in (k, v))
    k[:, :, :64] = v[:, :, :64] = float("nan")
    out, _ = forward(q, k, v, True, 60, tile=(4, 64))
    assert out[:, :, 124:].isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_the_work_is_done_in_float32_and_the_output_has_the_dtype_of_q(dtype):
    q, k, v, _ = random_inputs(100, 100, 2, 1, dim=24, dtype=dtype)  # 24 ** -0.5 has no end
    out, lse = forward(q, k, v, True, None)
    assert out.dtype == dtype
    assert lse.dtype == torch.float32
    expected_out, expected_lse = attention_written_out(q.double(), k.double(), v.double())
    torch.testing.assert_close(lse.double(), expected_lse, rtol=2e-6, atol=2e-6)
    close = {torch.bfloat16: 4e-3, torch.float16: 5e-4, torch.float32: 2e-6}[dtype]  # half a last digit
    torch.testing.assert_close(out.double(), expected_out, rtol=close, atol=1e-4 if close > 1e-5 else 2e-6)


def test_what_is_given_is_not_changed():
    q, k, v, _ = random_inputs(70, 70, 1, 1)
    before = [x.clone() for x in (q, k, v)]
    forward(q, k, v, True, None)
    for one, other in zip((q, k, v), before, strict=True):
        assert torch.equal(one, other)
