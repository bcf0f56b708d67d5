"""What torch.autocast does with which operation, by device: the lists for your own, and an example of each to
compare.

torch writes these lists in C++ (ATen/autocast_mode.h for CUDA, autocast_mode.cpp for the CPU). An operation is
known here by its function's `__name__`: `torch.matmul`, `Tensor.matmul` and `@` are "matmul" and "__matmul__". What
is on no list runs in whatever comes in.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


PRODUCTS = _names(
    """addbmm addmm baddbmm bmm conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d
    einsum linear matmul __matmul__ __rmatmul__ mm linalg_vecdot prelu scaled_dot_product_attention"""
)
LOSSES = _names(
    """binary_cross_entropy_with_logits cosine_embedding_loss cross_entropy hinge_embedding_loss huber_loss kl_div
    l1_loss margin_ranking_loss mse_loss multi_margin_loss nll_loss poisson_nll_loss prod smooth_l1_loss
    soft_margin_loss triplet_margin_loss"""
)
NARROW = {"cpu": PRODUCTS, "cuda": PRODUCTS | _names("addmv addr chain_matmul linalg_multi_dot mv")}
"""in the narrow format, whatever comes in: many products are added up, and the hardware adds them in float32"""
WIDE = {
    "cpu": LOSSES,
    # A GPU's list is the longer one: what a CPU leaves in bfloat16, it brings to float32.
    "cuda": LOSSES
    | _names(
        """acos asin cdist cosh cosine_similarity cumprod cumsum dist erfinv exp expm1 group_norm layer_norm log log10
        log1p log2 log_softmax logsumexp norm pow __pow__ __rpow__ reciprocal rms_norm rsqrt sinh softmax softplus sum
        tan"""
    ),
}
"""in float32, whatever comes in: their sums or their range are too much for 16 bits"""

X = (4, 8)
Example = tuple[Callable[..., Tensor], tuple[tuple[int, ...], ...]]
EXAMPLES: dict[str, Example] = {
    "linear": (F.linear, (X, (8, 8))),
    "linear with a bias": (F.linear, (X, (8, 8), (8,))),
    "matmul": (torch.matmul, (X, (8, 4))),
    "Tensor.matmul": (Tensor.matmul, (X, (8, 4))),
    "@": (lambda a, b: a @ b, (X, (8, 4))),
    "mm": (torch.mm, (X, (8, 4))),
    "bmm": (torch.bmm, ((2, *X), (2, 8, 4))),
    "addmm": (torch.addmm, ((4, 4), X, (8, 4))),
    "baddbmm": (torch.baddbmm, ((2, 4, 4), (2, *X), (2, 8, 4))),
    "addbmm": (torch.addbmm, ((4, 4), (2, *X), (2, 8, 4))),
    "einsum": (lambda a, b: torch.einsum("ij,jk->ik", a, b), (X, (8, 4))),
    "vecdot": (torch.linalg.vecdot, (X, X)),
    "conv1d": (F.conv1d, ((2, 3, 8), (4, 3, 3))),
    "conv2d": (F.conv2d, ((2, 3, 8, 8), (4, 3, 3, 3))),
    "conv_transpose1d": (F.conv_transpose1d, ((2, 3, 8), (3, 4, 3))),
    "scaled_dot_product_attention": (F.scaled_dot_product_attention, ((1, 2, 4, 8),) * 3),
    "prelu": (F.prelu, (X, (1,))),
    "cross_entropy": (lambda x: F.cross_entropy(x, torch.arange(4, device=x.device)), (X,)),
    "nll_loss": (lambda x: F.nll_loss(x, torch.arange(4, device=x.device)), (X,)),
    "mse_loss": (F.mse_loss, (X, X)),
    "l1_loss": (F.l1_loss, (X, X)),
    "smooth_l1_loss": (F.smooth_l1_loss, (X, X)),
    "huber_loss": (F.huber_loss, (X, X)),
    "kl_div": (lambda a, b: F.kl_div(a, b, reduction="batchmean"), (X, X)),
    "binary_cross_entropy_with_logits": (F.binary_cross_entropy_with_logits, (X, X)),
    "prod": (torch.prod, (X,)),
    "softmax": (lambda x: x.softmax(-1), (X,)),
    "F.softmax": (lambda x: F.softmax(x, -1), (X,)),
    "log_softmax": (lambda x: F.log_softmax(x, -1), (X,)),
    "layer_norm": (lambda x: F.layer_norm(x, (8,)), (X,)),
    "rms_norm": (lambda x: F.rms_norm(x, (8,)), (X,)),
    "exp": (torch.exp, (X,)),
    "log": (lambda x: x.abs().log(), (X,)),
    "pow": (lambda x: x**2, (X,)),
    "rsqrt": (lambda x: x.abs().rsqrt(), (X,)),
    "reciprocal": (torch.reciprocal, (X,)),
    "sum": (torch.sum, (X,)),
    "norm": (torch.norm, (X,)),
    "cumsum": (lambda x: x.cumsum(-1), (X,)),
    "mean": (torch.mean, (X,)),
    "silu": (F.silu, (X,)),
    "gelu": (F.gelu, (X,)),
    "relu": (F.relu, (X,)),
    "tanh": (torch.tanh, (X,)),
    "add": (torch.add, (X, X)),
    "mul": (torch.mul, (X, X)),
    "cat": (lambda a, b: torch.cat([a, b]), (X, X)),
    "where": (lambda a, b: torch.where(a > 0, a, b), (X, X)),
    "embedding": (lambda w: F.embedding(torch.arange(4, device=w.device), w), (X,)),
}
"""a function by name, and the shapes of what it takes"""


def inputs(example: Example, dtypes: tuple[torch.dtype, ...], device: str = "cpu") -> list[Tensor]:
    """Tensors for an example, random and always the same; the dtypes take turns."""
    generator = torch.Generator().manual_seed(0)
    shapes = example[1]
    return [
        torch.randn(shape, generator=generator).to(device, dtypes[number % len(dtypes)])
        for number, shape in enumerate(shapes)
    ]
