"""torch.autocast taken apart and rebuilt: each operation runs in the format that suits it, without a word in the
model.

Weights stay in float32. Products of matrices, where the time goes, get narrow copies of what they are given; losses
get float32; everything else takes what comes. So the model's code does not change. Micikevicius et al. 2018
(arXiv:1710.03740).

How to step in between: a TorchFunctionMode of torch is asked about every torch function that is called inside its
block, and calls it itself, with what arguments it likes. It stands above autograd, so a cast is part of the graph,
and the gradient comes back through it: in float32 for a float32 weight.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from phase03_core_inference.project07_mixed_precision.given.operations import NARROW, WIDE
from shared.device import pick_device

ALLOWED = (torch.bfloat16, torch.float16)


class Autocast(TorchFunctionMode):
    """Inside `with Autocast(dtype):` matrix products run in `dtype`, losses in float32, the rest in what comes in.

    Equal to torch.autocast, bit for bit. Of blocks inside each other the innermost one counts, so that
    `Autocast(enabled=False)` makes an exception. `regions` are the blocks that are open, from the outside in, and
    `casts` the narrow copies of weights that are kept until the outermost one ends, by the weight's id, each beside
    its weight: while that is held, nothing else can have its id. Both are the class's: the copies are shared by all
    open blocks. A mode is a thread's own. What is computed anew on the way back (torch.utils.checkpoint) is so in the
    thread of the backward pass: on a CPU the same one, on a GPU another, which no block covers.

    Raises ValueError for a dtype other than bfloat16 and float16, for a device this machine does not have, and for
    one without lists of operations (`given/operations.py`); each names what was given.
    """

    regions: ClassVar[list["Autocast"]] = []
    casts: ClassVar[dict[tuple[int, torch.dtype], tuple[Tensor, Tensor]]] = {}

    def __init__(self, dtype: torch.dtype = torch.bfloat16, device: str = "cpu", enabled: bool = True):
        super().__init__()
        if dtype not in ALLOWED:
            raise ValueError(f"autocast is to {' or '.join(map(str, ALLOWED))}, not to {dtype}")
        if pick_device(device).type not in NARROW:
            raise ValueError(f"there are lists of operations for {', '.join(NARROW)}, not for {device}")
        self.dtype, self.device, self.enabled = dtype, pick_device(device).type, enabled

    def __enter__(self) -> "Autocast":
        """Open a block: it is now the innermost one."""
        Autocast.regions.append(self)
        super().__enter__()
        return self

    def __exit__(self, *problem: Any) -> None:
        """Close the block; the copies of weights go with the outermost one. An error inside goes on its way."""
        super().__exit__(*problem)
        Autocast.regions.pop()
        if not Autocast.regions:
            Autocast.casts.clear()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call `func` with its arguments brought to the format that `wanted` names for it, or as they are.

        torch calls this for every torch function inside the block; in here, this block is not asked again, but the
        ones around it are: one that is not the innermost leaves everything alone. So does one that is not enabled.
        A call that says where to write (out=...) is left alone too: a copy would be written to. Tensors may stand
        in a list among the arguments, as einsum's and cat's may (torch's `tree_map` finds them).
        """
        kwargs = kwargs or {}
        target = self.wanted(getattr(func, "__name__", ""))
        innermost = Autocast.regions[-1] is self
        if not self.enabled or not innermost or target is None or kwargs.get("out") is not None:
            return func(*args, **kwargs)
        brought = tree_map(lambda value: self.cast(value, target), (args, kwargs))
        return func(*brought[0], **brought[1])

    def wanted(self, name: str) -> torch.dtype | None:
        """The format for an operation of that name: self.dtype, float32, or None where any will do.

        The lists are NARROW and WIDE, by device type.
        """
        if name in NARROW[self.device]:
            return self.dtype
        return torch.float32 if name in WIDE[self.device] else None

    def cast(self, value: Any, dtype: torch.dtype) -> Any:
        """A floating-point tensor of this block's device in that format; anything else as it is, and float64 too.

        Who asks for float64 means it. A weight is cast once and kept in `casts` until the outermost block ends,
        however often it is used: a leaf in float32 that wants a gradient, while gradients are recorded, and no
        view, and where the format is the narrow one. So a weight that is changed in the block keeps its old copy
        until then, in torch's autocast too. Without gradients nothing is kept: each use casts anew.
        """
        if not isinstance(value, Tensor) or not value.is_floating_point() or value.dtype == torch.float64:
            return value
        if value.dtype == dtype or value.device.type != self.device:
            return value
        recorded = torch.is_grad_enabled() and value.requires_grad and value.is_leaf
        if dtype != self.dtype or value.dtype != torch.float32 or not recorded or value._is_view():
            return value.to(dtype)
        key = id(value), dtype
        if key not in Autocast.casts:
            Autocast.casts[key] = value, value.to(dtype)
        return Autocast.casts[key][1]
