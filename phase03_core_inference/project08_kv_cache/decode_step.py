"""A whole decoding step in one call of C++.

Through modules, a step of a small model is some three hundred calls from Python, and each takes longer than the work in
it. In one call nothing is left but reading: weights, keys and values.

`step_source` gives the text; given/kernels.py compiles it last, after the product, the attention and given/step.cpp.
"""

import ctypes
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from phase03_core_inference.project08_kv_cache.decode_attention import attention_source, check_cache
from phase03_core_inference.project08_kv_cache.generation import step
from phase03_core_inference.project08_kv_cache.given.kernels import FORMATS, check_threads, library
from phase03_core_inference.project08_kv_cache.given.packed import Packed
from phase03_core_inference.project08_kv_cache.kv_cache import KVCache
from phase03_core_inference.project08_kv_cache.linear import MOST_ROWS, check_weights, product_source
from shared.phase01 import LLM


def step_source() -> str:
    """C++ of decode_step: project 3's model for one token of each row, cache and all, in float and bfloat16.

    The text defines, and may define more beside:

        template <class Number>
        static void decode_step(const Model<Number>& model, const Step& step)

    It fills step.logits. Step by step, for all step.count rows at once:

        x = embedding of the tokens
        for each layer:
            a = rms_norm(x) · attention_norm;  q, k, v = a by the layer's matrices
            where the layer has q_norm: each head of q and k through rms_norm with q_norm and k_norm
            each head of q and k turned by the row's angles (cos, sin)
            k and v into the cache: row rows[i], head h, slot slots[i]
            mixed = attention of each row over its lengths[i] first slots;  x += out · mixed
            a = rms_norm(x) · feed_forward_norm;  x += down · activate(gate · a, up · a)
        logits = head · (rms_norm(x) · norm), softened where softcap is not 0

    The stream x, queries, and all sums are float32; what a product reads (`a`, `mixed`, the activation) is rounded to
    Number. given/step.cpp has the structs and a function for each line but the cache's: `embed`, `rms_norm`, `product`,
    `rotate`, `decode_attention`, `copy` (numbers into Number, also into a cache's slot), `activate`, `add`, `soften`.
    `Rows<Number> a(count, length)` makes rows as a product wants them, filled up with zeros. gate.numbers is null in a
    model without a gate, and q_norm and k_norm are null in one without qk_norm. A matrix has n rows.
    """
    return r"""
template <class Number>
static void decode_step(const Model<Number>& model, const Step& step) {
    const int64_t count = step.count, dim = model.dim, width = model.width, hidden = model.hidden;
    const int64_t heads = model.heads, kv_heads = model.kv_heads, wide = heads * width, narrow = kv_heads * width;
    std::vector<float> x(count * dim), added(count * dim), q(count * wide), k(count * narrow), v(count * narrow);
    std::vector<float> mixed(count * wide), gate(count * hidden), up(count * hidden);
    Rows<Number> a(count, dim), joined(count, wide), active(count, hidden);
    const auto multiply = [&](const Matrix<Number>& w, Rows<Number>& from, float* to) {
        product(w, from.data(), to, count, step.threads);
    };
    const auto normalize = [&](const float* gain) {
        for (int64_t i = 0; i < count; i++) rms_norm(x.data() + i * dim, gain, dim, model.eps, a[i]);
    };
    const auto place = [&](std::vector<float>& made, const float* gain, int64_t head, int64_t i) {
        float* one = made.data() + head * width;
        if (gain) rms_norm(one, gain, width, model.eps, one);
        rotate(one, step.cos + i * width / 2, step.sin + i * width / 2, width);
    };

    embed(model, step, x.data());
    for (int64_t l = 0; l < model.layers; l++) {
        const Layer<Number>& layer = model.layer[l];
        normalize(layer.attention_norm);
        multiply(layer.q, a, q.data());
        multiply(layer.k, a, k.data());
        multiply(layer.v, a, v.data());
        for (int64_t i = 0; i < count; i++) {
            for (int64_t h = 0; h < heads; h++) place(q, layer.q_norm, i * heads + h, i);
            for (int64_t h = 0; h < kv_heads; h++) {
                place(k, layer.k_norm, i * kv_heads + h, i);
                const int64_t from = (i * kv_heads + h) * width;
                const int64_t to = ((step.rows[i] * kv_heads + h) * model.capacity + step.slots[i]) * width;
                copy(k.data() + from, width, layer.keys + to);
                copy(v.data() + from, width, layer.values + to);
            }
        }
        const Held<Number> held{layer.keys, layer.values, kv_heads, model.capacity, width};
        decode_attention(q.data(), held, step.rows, step.lengths, mixed.data(), count, heads, step.threads);
        for (int64_t i = 0; i < count; i++) copy(mixed.data() + i * wide, wide, joined[i]);
        multiply(layer.out, joined, added.data());
        add(x.data(), added.data(), count * dim);

        normalize(layer.feed_forward_norm);
        if (layer.gate.numbers) multiply(layer.gate, a, gate.data());
        multiply(layer.up, a, up.data());
        for (int64_t i = 0; i < count; i++) {
            const float* open = layer.gate.numbers ? gate.data() + i * hidden : nullptr;
            activate(open, up.data() + i * hidden, hidden, active[i]);
        }
        multiply(layer.down, active, added.data());
        add(x.data(), added.data(), count * dim);
    }
    normalize(model.norm);
    multiply(model.head, a, step.logits);
    if (model.softcap != 0) soften(step.logits, count * model.head.n, model.softcap);
}
"""


class DecodeStep:
    """The step as `stream_tokens` uses it: decode=DecodeStep(model). Weights are packed once, and must stay there.

    For more than one new token a row, more than MOST_ROWS rows, or without a compiler, project 3's modules do the step.
    """

    def __init__(self, model: LLM, threads: int = 1):
        """Raises ValueError for weights or threads that the kernels do not take, and for a model with other layers.

        It names the dtype, the device, the number, or a layer that was changed.
        """
        check_threads(threads)
        check_weights(model)
        for name, part in model.named_modules():
            if type(part).__module__.startswith("torch.") or type(part).__module__ == type(model).__module__:
                continue
            raise ValueError(
                f"a whole step has project 3's layers inside, and {name} is a {type(part).__name__}"
            )
        if any(isinstance(part, nn.Linear) and part.bias is not None for part in model.modules()):
            raise ValueError("a whole step has no biases, and this model has")
        self.model, self.threads = model, threads
        self.dtype = model.embedding.weight.dtype
        self.packed = Packed(model)
        self.kernel = library("step", product_source(), attention_source(), step_source())

    @torch.no_grad()
    def __call__(self, cache: KVCache, new: Sequence[Sequence[int]]) -> Float[Tensor, "row vocab"]:
        """Read one new token for each row that brings one; the logits after it, as `step` gives them.

        Raises ValueError for a cache of another shape or dtype than the model's, naming both, and as `KVCache.plan`
        does.
        """
        self._check(cache)
        if self.kernel is None or max(map(len, new), default=0) != 1 or sum(map(len, new)) > MOST_ROWS:
            return step(self.model, cache, new)
        tokens = [token for row in new for token in row]
        vocab_size = self.model.config.vocab_size
        if odd := [token for token in tokens if not 0 <= token < vocab_size]:
            raise ValueError(f"the model knows the ids from 0 to {vocab_size - 1}, not {odd[0]}")
        positions = cache.plan([len(row) for row in new])
        logits = torch.empty(len(tokens), vocab_size)
        self.packed.use(cache)
        request = self.packed.step(cache, tokens, positions, logits, self.threads)
        self.kernel[f"decode_step_{FORMATS[self.dtype]}"](
            ctypes.addressof(self.packed.struct), ctypes.addressof(request)
        )
        cache.finish()
        return logits

    def _check(self, cache: KVCache) -> None:
        check_cache(cache)
        mine, its = self.model.config, cache.config
        for name in ("layers", "kv_heads", "head_width"):
            if getattr(mine, name) != getattr(its, name):
                raise ValueError(
                    f"the model has {name} {getattr(mine, name)}, and the cache {getattr(its, name)}: another model's?"
                )
        if cache.dtype != self.dtype:
            ours, theirs = (str(dtype).removeprefix("torch.") for dtype in (self.dtype, cache.dtype))
            raise ValueError(f"the model is {ours}, and the cache keeps {theirs}")
