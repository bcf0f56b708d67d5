"""The product in C++ against float64, at odd sizes; the same bits alone and in company; nothing beyond its bounds."""

import pytest
import torch
import torch.nn.functional as F

from phase03_core_inference.project08_kv_cache.generation import step
from phase03_core_inference.project08_kv_cache.given.edge import stays_inside
from phase03_core_inference.project08_kv_cache.given.example import WIDE, random_heads, random_model
from phase03_core_inference.project08_kv_cache.given.kernels import FORMATS, compiled, library, padded
from phase03_core_inference.project08_kv_cache.kv_cache import KVCache
from phase03_core_inference.project08_kv_cache.linear import OwnLinear, product_source, use_own_products
from shared.testing import raises

task = pytest.mark.task(8)
formats = pytest.mark.parametrize("dtype", FORMATS)
GUARD = 64  # numbers around every buffer


def guarded(tensor):
    """A buffer with the tensor in its middle and NaN before and after it, and a view of the tensor in it."""
    buffer = torch.full((tensor.numel() + 2 * GUARD,), torch.nan, dtype=tensor.dtype)
    inside = buffer[GUARD:-GUARD].view(tensor.shape)
    inside.copy_(tensor)
    return buffer, inside


def product(x, w, threads=1):
    """x wᵀ by the kernel, in float32. What it reads beyond its bounds is NaN, and what it writes there is found."""
    kernel = library("product", product_source())
    if kernel is None:
        pytest.skip("there is no C++ compiler")
    _, w = guarded(padded(w))
    _, x = guarded(padded(x))
    buffer, y = guarded(torch.full((len(x), len(w)), torch.nan))
    kernel[f"product_{FORMATS[w.dtype]}"](
        w.data_ptr(), x.data_ptr(), y.data_ptr(), len(x), len(w), x.shape[1], threads
    )
    assert buffer[:GUARD].isnan().all(), "it writes before y"
    assert buffer[-GUARD:].isnan().all(), "it writes beyond y"
    return y.clone()


@task
@formats
@pytest.mark.parametrize(("m", "n"), [(1, 1), (1, 6), (7, 5), (12, 9)])
def test_it_stays_within_its_arrays(m, n, dtype):
    found = compiled("product", product_source())
    if found is None:
        pytest.skip("there is no C++ compiler")
    w, x, y = bytes(n * 32 * dtype.itemsize), bytes(m * 32 * dtype.itemsize), bytes(m * n * 4)
    assert stays_inside(found, f"product_{FORMATS[dtype]}", w, x, y, m, n, 32, 1), (
        "it reads beyond w or x, or writes beyond y"
    )


def operands(m, n, k, dtype, seed=0):
    [x] = random_heads(m, k, seed=seed, dtype=dtype)
    [w] = random_heads(n, k, seed=seed + 1, dtype=dtype)
    return x, w


def close(found, x, w):
    """Within float32's rounding of the exact product: sums of k terms, in any sensible order."""
    exact, size = x.double() @ w.double().T, x.double().abs() @ w.double().abs().T
    assert ((found.double() - exact).abs() <= 1e-5 * size + 1e-30).all()


@task
@formats
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8, 31, 50, 97])
@pytest.mark.parametrize("k", [1, 31, 32, 33, 200])
def test_the_product_is_right_at_odd_sizes(n, k, dtype):
    for m in (1, 2, 3, 7, 12):
        x, w = operands(m, n, k, dtype)
        close(product(x, w), x, w)


@task
@formats
def test_the_product_is_right_for_each_number_of_rows(dtype):
    x, w = operands(40, 22, 96, dtype)
    for m in range(1, 41):
        close(product(x[:m], w), x[:m], w)


@task
@formats
@pytest.mark.parametrize(("n", "k"), [(22, 96), (9, 800)])
def test_a_rows_bits_do_not_depend_on_its_company(n, k, dtype):
    x, w = operands(33, n, k, dtype)
    alone = torch.cat([product(x[i : i + 1], w) for i in range(33)])
    for m in range(1, 34):
        assert torch.equal(product(x[:m], w), alone[:m])
    assert torch.equal(product(x[20:29], w), alone[20:29])


@task
@formats
@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_share_the_work_and_change_no_bit(threads, dtype):
    for n in (5, 701, 1500):  # a small matrix is left to one thread
        x, w = operands(2, n, 3200, dtype)
        found = product(x, w, threads)
        assert torch.equal(found, product(x, w))
        close(found, x, w)


@task
def test_bfloat16_products_are_summed_in_float32():
    """256 + 1 is 256 in bfloat16, where a sum of ones would stop."""
    w = torch.ones(4, 1024, dtype=torch.bfloat16)
    assert product(w[:1], w).tolist() == [[1024.0] * 4]


@task
@formats
def test_a_part_fills_its_own_columns_and_no_other(dtype):
    kernel = library("product", product_source())
    if kernel is None:
        pytest.skip("there is no C++ compiler")
    x, w = operands(3, 21, 64, dtype)  # quarters of 6, the last one of 3
    y = torch.full((3, 21), torch.nan)
    kernel[f"part_{FORMATS[dtype]}"](w.data_ptr(), x.data_ptr(), y.data_ptr(), 3, 21, 64, 2, 4)
    own = [2, 3, 8, 9, 14, 15, 20]
    assert [j for j in range(21) if not y[:, j].isnan().any()] == own, "the columns of j = 2 and 3"
    assert torch.equal(y[:, own], product(x, w)[:, own])


@task
def test_the_kernel_reads_only_the_rows_of_its_share():
    """Rows of w that are not a number reach their own columns and no other."""
    x, w = operands(3, 21, 64, torch.float32)
    expected = product(x, w)
    w[[0, 5, 20]] = torch.nan
    found = product(x, w)
    others = [j for j in range(21) if j not in (0, 5, 20)]
    assert torch.equal(found[:, others], expected[:, others])
    assert found[:, [0, 5, 20]].isnan().all()


@task
@formats
@pytest.mark.parametrize("shape", [(100,), (1, 100), (1, 7, 100), (2, 3, 100), (40, 100)])
def test_a_layer_takes_any_shape_and_keeps_the_dtype(shape, dtype):
    linear = torch.nn.Linear(100, 31, bias=False).to(dtype)
    own = OwnLinear(linear)
    assert own.weight is linear.weight
    [x] = random_heads(*shape, dtype=dtype)
    with torch.no_grad():
        found = own(x)
    assert (found.shape, found.dtype) == ((*shape[:-1], 31), dtype)
    tolerance = 1e-5 if dtype == torch.float32 else 0.01
    torch.testing.assert_close(found, F.linear(x, linear.weight), rtol=tolerance, atol=tolerance)


@task
def test_what_needs_a_gradient_gets_one():
    own = OwnLinear(torch.nn.Linear(8, 3, bias=False))
    own(torch.ones(2, 8)).sum().backward()
    assert own.weight.grad is not None
    assert torch.equal(own.weight.grad, torch.full((3, 8), 2.0))


@task
@pytest.mark.parametrize("config", WIDE)
def test_a_model_with_own_products_says_the_same(config):
    model, own = random_model(config, torch.float32), random_model(config, torch.float32)
    names = use_own_products(own)
    assert "head" in names
    assert "blocks.0.attention.q" in names
    assert not any(isinstance(part, torch.nn.Linear) for part in own.modules())
    caches = [KVCache(config, rows=2) for _ in range(2)]
    for new in ([[1, 2, 3], [4]], [[5], [6]], [[], [7]]):
        found, expected = step(own, caches[0], new), step(model, caches[1], new)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("model", "threads", "facts"),
    [
        (random_model(), 1, ("float64", "float32", "bfloat16")),
        (random_model().half(), 1, ("float16",)),
        (random_model(dtype=torch.float32).to("meta"), 1, ("meta", "cpu")),
        (random_model(dtype=torch.float32), 0, (0, 1)),
    ],
)
def test_what_the_kernel_was_not_made_for_is_refused_before_any_layer_is_replaced(model, threads, facts):
    with raises(ValueError, *facts):
        use_own_products(model, threads)
    assert isinstance(model.head, torch.nn.Linear)
