"""The kernels against the same thing written out; a whole step against the modules."""

import copy
import platform
from pathlib import Path

import pytest
import torch

from phase05_quantization.project14_ptq.given import products
from phase05_quantization.project14_ptq.given.example import WIDE, random_matrix, random_model, random_tokens
from phase05_quantization.project14_ptq.given.methods import as_floats, quantize_model
from phase05_quantization.project14_ptq.given.products import CodesProduct, plain_product, use_products
from phase05_quantization.project14_ptq.given.whole_step import QuantizedStep
from phase05_quantization.project14_ptq.grids import Grid, nearest
from phase05_quantization.project14_ptq.quant_linear import PackedWeight, QuantLinear, quantize_linears
from shared.native import load
from shared.phase01 import SamplingParams
from shared.phase03 import KVCache, generate_tokens, kernel_library, step
from shared.testing import raises

HALF = torch.float16
GRIDS = [
    Grid(8), Grid(8, 32), Grid(8, 64, True, HALF), Grid(8, 128, False), Grid(8, "channel", False, HALF),
    Grid(4), Grid(4, 32, True, HALF), Grid(4, 64), Grid(4, 128, True, HALF), Grid(4, 32, False),
    Grid(4, 64, False, HALF),
]  # fmt: skip
grids = pytest.mark.parametrize("grid", GRIDS, ids=str)
needs_compiler = pytest.mark.skipif(
    kernel_library("product", products.SOURCE) is None, reason="there is no C++ compiler"
)


@needs_compiler
@grids
@pytest.mark.parametrize("shape", [(1, 64), (5, 192), (9, 704), (64, 256)])
def test_a_product_is_what_its_codes_say(grid, shape):
    weight = PackedWeight(nearest(random_matrix(*shape), grid))
    product, x = CodesProduct(weight), random_matrix(7, shape[1], 1)
    found, expected = product(x), plain_product(weight, x)
    assert ((found - expected).norm() / expected.norm()).item() < 2e-6
    assert (found - x @ weight.quantized.dequantized().T).norm() < 0.02 * expected.norm()
    for i in range(7):
        assert torch.equal(product(x[i : i + 1])[0], found[i]), "a row's bits depend on its company"


@needs_compiler
@pytest.mark.parametrize("grid", [Grid(8, 32), Grid(4, 64)], ids=str)
def test_the_largest_codes_do_not_overflow(grid):
    weight = torch.full((8, 2048), -1.0)
    weight[:, 1::2] = 1.0
    packed = PackedWeight(nearest(weight, grid))
    x = torch.ones(2, 2048)
    x[0] = weight[0]
    found, expected = CodesProduct(packed)(x), plain_product(packed, x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-3)


@needs_compiler
def test_zeros_give_zeros_and_threads_change_no_bit():
    weight = PackedWeight(nearest(random_matrix(900, 1024), Grid(4, 64)))
    x = random_matrix(3, 1024, 1)
    x[1] = 0
    one, two = (CodesProduct(weight, threads)(x) for threads in (1, 2))
    assert torch.equal(one, two)
    assert not one[1].any()


@pytest.mark.parametrize(
    ("grid", "inputs", "fact"),
    [(Grid(3), 64, 3), (Grid(4), 96, 96), (Grid(4, "tensor"), 64, "tensor"), (Grid(4, 16), 64, 16),
     (Grid(4, 64, scale_dtype=torch.bfloat16), 64, "bfloat16")],
)  # fmt: skip
def test_weights_that_the_kernel_does_not_take(grid, inputs, fact):
    weight = PackedWeight(nearest(random_matrix(4, inputs), grid))
    with raises(ValueError, fact):
        CodesProduct(weight)


@needs_compiler
def test_layers_use_it_where_it_fits():
    model = random_model(WIDE)
    quantize_linears(
        model, lambda name, linear: nearest(linear.weight, Grid(3 if name.endswith(".k") else 4, 32))
    )
    found = use_products(model)
    assert len(found) == 2 * 6
    layer = model.get_submodule("blocks.0.feed_forward.down")
    assert isinstance(layer, QuantLinear)
    x = random_matrix(2, 192)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), plain_product(layer.packed_weight, x), rtol=1e-4, atol=1e-4)


def quantized(grid):
    model = random_model(WIDE)
    quantize_model(model, "nearest", grid)
    return model


@needs_compiler
@pytest.mark.parametrize("grid", [Grid(8), Grid(4, 32, True, HALF), Grid(4, 64, False)], ids=str)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_whole_step_gives_the_logits_of_the_layers(grid, threads):
    model = quantized(grid)
    use_products(model)
    prompts = [[3, 1, 4, 1, 5], [9, 2]]
    caches = [KVCache(model.config, 2, dtype=torch.float32) for _ in range(2)]
    whole = QuantizedStep(model, threads)
    for cache in caches:
        step(model, cache, prompts)
    for token in (6, 5, 3):
        found, expected = whole(caches[0], [[token], [token]]), step(model, caches[1], [[token], [token]])
        assert (found - expected).norm() < 0.02 * expected.norm()
    for one, other in zip(caches[0].keys, caches[1].keys, strict=True):
        assert (one[0, :, :8] - other[0, :, :8]).norm() < 0.02 * other[0, :, :8].norm()


@needs_compiler
def test_a_whole_step_alone_is_a_step_in_company():
    model = quantized(Grid(4, 32))
    params = SamplingParams(max_tokens=8, temperature=0)
    prompts = [[3, 1, 4], [9, 2], [5]]
    together = generate_tokens(model, prompts, params, decode=QuantizedStep(model))
    for prompt, text in zip(prompts, together, strict=True):
        assert generate_tokens(model, [prompt], params, decode=QuantizedStep(model)) == [text]


def test_a_whole_step_wants_all_its_layers_in_codes():
    model = random_model(WIDE)
    quantize_linears(model, lambda name, linear: nearest(linear.weight, Grid(4, 32)))
    with raises(ValueError, "head"):
        QuantizedStep(model)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the flags are of x86")
@pytest.mark.parametrize(
    "flags",
    [["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512vnni"], ["-march=x86-64"]],
    ids=["vnni", "plain"],
)
def test_the_paths_of_other_processors_compile(flags):
    around = "".join(
        f"#include <{name}>\n"
        for name in ("algorithm", "cmath", "cstdint", "cstring", "type_traits", "vector")
    )
    around += """
typedef float vec __attribute__((vector_size(64)));
static vec widen(const float* from) { vec v; std::memcpy(&v, from, 64); return v; }
template <int most, class Work>
static void with_count(int64_t count, const Work& work) {
    if constexpr (most > 1) { if (count < most) return with_count<most - 1>(count, work); }
    work(std::integral_constant<int, most>());
}
"""
    after = """
extern "C" void all(const float* w, const float* x, float* y, int64_t m, int64_t n, int64_t k) {
    product_part(w, x, y, m, n, k, 0, (n + 3) / 4);
}
"""
    found = load(around + products.SOURCE + after, "quantized-elsewhere", [*flags, "-Wno-psabi"])
    if found is None:
        pytest.skip("there is no C++ compiler")
    if flags == ["-march=x86-64"] or "avx512_vnni" in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
        from ctypes import addressof, c_int64

        from shared.native import ADDRESS, function

        for grid in GRIDS:
            weight = PackedWeight(nearest(random_matrix(9, 192), grid))
            x, y, codes = random_matrix(3, 192, 1), torch.empty(3, 9), products.codes_of(weight)
            run = function(found, "all", None, [ADDRESS, ADDRESS, ADDRESS, c_int64, c_int64, c_int64])
            run(addressof(codes), x.data_ptr(), y.data_ptr(), 3, 9, 192)
            torch.testing.assert_close(y, plain_product(weight, x), rtol=1e-4, atol=1e-4)


def test_measuring_twins_compute_the_same():
    model = quantized(Grid(3, 32))
    tokens = random_tokens(2, 9, 67)
    expected = model(tokens)
    torch.testing.assert_close(as_floats(copy.deepcopy(model))(tokens), expected, rtol=1e-5, atol=1e-5)
