"""Products for decoding on a CPU: few rows of activations with every weight of the model, each read once.

A step multiplies each matrix with as many rows as texts are written at once, 1 to 32. There memory is the limit, not
arithmetic: what counts is that the weights arrive as fast as they can. torch's product reads one row of weights after
the other; this one reads four rows at once, from four quarters of the matrix, which memory delivers faster.

The kernel is C++. `product_source` gives its text, which given/kernels.py compiles after given/vectors.cpp and before
given/product.cpp.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from phase03_core_inference.project08_kv_cache.given.kernels import FORMATS, check_threads, library, padded
from shared.phase01 import LLM, replace_linears

MOST_ROWS = 32
"""for more, as in a prompt, arithmetic is the limit, and torch's product is the better one"""


def product_source() -> str:
    """C++ of product_part: y = x wᵀ for some rows of w, in float and bfloat16, with one order of sums.

    The text defines, and may define more beside:

        template <class Number>
        static void product_part(const Number* w, const Number* x, float* y,
                                 int64_t m, int64_t n, int64_t k, int64_t begin, int64_t end)

    w is (n, k), x (m, k), y (m, n), each row by row without gaps; Number is float or bfloat16, and k a multiple of 32.
    The rows of w fall into four quarters of (n + 3) / 4; for each j from `begin` to before `end`, and each quarter r,
    it fills column j + r · (n + 3) / 4 of y, where n has one: the last quarter may be shorter, and nothing may be
    written beyond y or read beyond w. Threads share the range of j.

    **The sum for one place of y has the same order whatever m is**, or a text would depend on its company: one vector
    of 16 sums, from zero, takes the blocks of 64 bytes from first to last by `dot`, and `sum4` adds its 16 lanes.

    given/vectors.cpp has what it needs: `vec` (16 floats), `load` (a block of a row), `held` (keeps a block in a
    register where it is used several times), `dot(sum, a, b)`, `sum4(a, b, c, d, to)`, STEP<Number> (numbers in a
    block); and given/frame.cpp `with_count<most>(count, work)`, inside which the count is a constant. ROWS rows of x by
    four of w are as many sums as the registers hold: six with AVX-512, one without. From three rows of x, arithmetic
    takes so long that memory stands idle: `prefetch` what comes two rows of w later, a part of it in each pass over x.
    """
    return r"""
// sums[c][r]: row r of the four of w times row c of the C of x. Meanwhile, what lies two rows after those of w from
// `early` to before `late` comes nearer.
template <int C, class Number>
static inline void tile(const Number* const w[4], const Number* x, int64_t k, int64_t early, int64_t late,
                        float sums[C][4]) {
    vec sum[C][4] = {};
    for (int64_t l = 0; l < k; l += STEP<Number>) {
        for (int64_t r = early; r < late; r++) prefetch(w[r] + 2 * k + l);
        const auto w0 = held(load(w[0] + l)), w1 = held(load(w[1] + l));
        const auto w2 = held(load(w[2] + l)), w3 = held(load(w[3] + l));
        for (int c = 0; c < C; c++) {
            const auto block = held(load(x + c * k + l));
            sum[c][0] = dot(sum[c][0], w0, block);
            sum[c][1] = dot(sum[c][1], w1, block);
            sum[c][2] = dot(sum[c][2], w2, block);
            sum[c][3] = dot(sum[c][3], w3, block);
        }
    }
    for (int c = 0; c < C; c++) sum4(sum[c][0], sum[c][1], sum[c][2], sum[c][3], sums[c]);
}

template <class Number>
static void product_part(const Number* w, const Number* x, float* y, int64_t m, int64_t n, int64_t k,
                         int64_t begin, int64_t end) {
    const int64_t quarter = (n + 3) / 4;
    const int64_t passes = (m + ROWS - 1) / ROWS;  // over x, as equal as they can be
    const int64_t ahead = m > 2 ? 4 : 0;  // rows of w to ask for: two rows of x leave memory no rest
    for (int64_t j = begin; j < end; j++) {
        const Number* rows[4];
        for (int r = 0; r < 4; r++) rows[r] = w + std::min(j + r * quarter, n - 1) * k;
        for (int64_t pass = 0; pass < passes; pass++) {
            const int64_t first = m * pass / passes, early = ahead * pass / passes, late = ahead * (pass + 1) / passes;
            with_count<ROWS>(m * (pass + 1) / passes - first, [&](auto count) {
                constexpr int C = decltype(count)::value;
                float sums[C][4];
                tile<C>(rows, x + first * k, k, early, late, sums);
                for (int c = 0; c < C; c++)
                    for (int r = 0; r < 4; r++)
                        if (j + r * quarter < n) y[(first + c) * n + j + r * quarter] = sums[c][r];
            });
        }
    }
}
"""


class OwnLinear(nn.Module):
    """A linear layer for decoding: up to MOST_ROWS rows go through the kernel, more through torch.

    So does what needs gradients, for the kernel has none, and activations of another dtype than the weights.
    """

    def __init__(self, linear: nn.Linear, threads: int = 1):
        super().__init__()
        self.weight, self.threads = linear.weight, threads  # the same parameter, no copy
        self.product = library("product", product_source())
        self.packed = padded(linear.weight)

    def forward(self, x: Float[Tensor, "*rest inputs"]) -> Float[Tensor, "*rest outputs"]:
        """x wᵀ, in the weight's dtype, summed in float32."""
        rows = x.reshape(-1, x.shape[-1])
        learns = torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad)
        fits = 0 < len(rows) <= MOST_ROWS and x.dtype == self.weight.dtype
        if self.product is None or learns or not fits:
            return F.linear(x, self.weight)
        rows = padded(rows)
        outputs, inputs = self.packed.shape
        y = torch.empty(len(rows), outputs)
        self.product[f"product_{FORMATS[self.weight.dtype]}"](
            self.packed.data_ptr(), rows.data_ptr(), y.data_ptr(), len(rows), outputs, inputs, self.threads
        )
        return y.to(self.weight.dtype).view(*x.shape[:-1], outputs)


def use_own_products(model: LLM, threads: int = 1) -> list[str]:
    """Put OwnLinear in the place of all of the model's linear layers, by the Linear seam; returns their names.

    Without a compiler, torch does the products. Raises ValueError, before
    any layer is replaced, for weights that are not float32 or bfloat16 on a CPU and for fewer than one thread, naming
    what came in.
    """
    check_threads(threads)
    check_weights(model)
    return replace_linears(model, lambda name, linear: OwnLinear(linear, threads))


def check_weights(model: nn.Module) -> None:
    """Raises ValueError for a model whose weights the kernels do not read, naming the dtype or the device."""
    for name, weight in model.named_parameters():
        if weight.dtype not in FORMATS:
            known = " and ".join(FORMATS.values())
            raise ValueError(
                f"the kernels read {known}, not {str(weight.dtype).removeprefix('torch.')}: {name}"
            )
        if weight.device.type != "cpu":
            raise ValueError(f"the kernels run on a cpu, and {name} is on {weight.device}")
