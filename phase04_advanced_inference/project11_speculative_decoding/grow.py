"""A large model that says exactly what a small one says: zeros around it.

To see what speculation gains on a large model one needs a large model, and a small one that guesses well what it says.
Here the large one is the small one, grown: it costs what a model of its size costs, and every token is the small one's.
Its new weights are idle; nobody should want it for anything else. Chen et al. 2016, Net2Net (arXiv:1511.05641), grow
models in this way to train them further.
"""

from dataclasses import replace

import torch
from torch import Tensor

from shared.phase01 import LLM, Config, RMSNorm, from_tensors


def grown_config(config: Config, dim: int, heads: int, layers: int, hidden_dim: int) -> Config:
    """The grown model's config: so many query heads, in groups and of a width as before.

    kv_heads grow with heads, so that as many query heads share each; head_dim is set to the old head's width. norm_eps
    becomes norm_eps × old dim / new dim (see `grow`). Raises ValueError, naming what came in and what it must at least
    be, for a number that is smaller than before, and, naming both, for heads that are no multiple of a group's.
    """
    wanted = {"dim": dim, "heads": heads, "layers": layers, "hidden_dim": hidden_dim}
    for name, value in wanted.items():
        if value < getattr(config, name):
            raise ValueError(f"{name} cannot shrink from {getattr(config, name)} to {value}")
    group = config.heads // config.kv_heads
    if heads % group:
        raise ValueError(
            f"{group} query heads share one of keys and values: {heads} is no multiple of {group}"
        )
    eps = config.norm_eps * config.dim / dim
    return replace(config, **wanted, kv_heads=heads // group, head_dim=config.head_width, norm_eps=eps)


def padded(small: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A tensor of this shape: `small` at the beginning of every dimension, zeros elsewhere; its dtype and device."""
    large = small.new_zeros(shape)
    large[tuple(slice(size) for size in small.shape)] = small
    return large


@torch.no_grad()
def grow(model: LLM, dim: int, heads: int, layers: int, hidden_dim: int) -> LLM:
    """A larger model with the same logits, of `grown_config`, in the same format, in evaluation mode.

    The old numbers stand at the beginning of every dimension, zeros elsewhere: old entries of the stream, heads, hidden
    units and layers come first. So new entries of the stream are always 0, new heads and units add nothing, and a new
    layer, whose `out` and `down` are zero, adds nothing to the stream.

    One thing is not so simple: an RMSNorm over the wider stream divides by the root of the mean square of all entries,
    and with zeros among them the mean is smaller, by old dim / new dim = s. So gains over the stream are the old ones ×
    √s, and eps the old one × s, which makes x / √(s·m + s·eps) · √s·gain = x / √(m + eps) · gain. Gains of new entries
    do not matter. q_norm and k_norm are over a head's width, which stays: they keep gains and eps. A tied head is tied
    in the grown model too. The given model stays as it is. Raises ValueError as `grown_config` does.
    """
    config = grown_config(model.config, dim, heads, layers, hidden_dim)
    with torch.device("meta"):  # shapes, and no memory
        shapes = {name: tuple(one.shape) for name, one in LLM(config).state_dict().items()}
    old, weight = model.state_dict(), model.embedding.weight
    scale = (model.config.dim / dim) ** 0.5
    tensors = {}
    for name, shape in shapes.items():
        small = old.get(name, weight.new_zeros([0] * len(shape)))  # of a new layer there is nothing yet
        over_stream = (
            name.endswith(("attention_norm.weight", "feed_forward_norm.weight")) or name == "norm.weight"
        )
        tensors[name] = padded(small * scale if over_stream else small, shape)
    large = from_tensors(config, tensors).eval()
    for name, module in large.named_modules():
        if isinstance(module, RMSNorm) and name.endswith(("q_norm", "k_norm")):
            module.eps = model.config.norm_eps
    return large
