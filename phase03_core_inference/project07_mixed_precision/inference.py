"""Inference in half the bytes: the weights are cast once, not at every call.

Autocast keeps float32 weights and casts them whenever they are used. In training that is paid once a step, for many
tokens. In decoding, a step is one token, and reading the weights is all of its time: autocast then reads four bytes a
weight and writes two, and is slower than doing nothing. A model that is cast reads two.
"""

import copy

import torch
from torch import nn

ALLOWED = (torch.bfloat16, torch.float16, torch.float32)


def cast_for_inference(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy of the model whose floating-point parameters and buffers are `dtype`, to be read and not to be trained.

    The copy is in evaluation mode, none of its parameters wants a gradient or has one, and what was one parameter
    in two places still is. Integers stay integers. The model itself stays as it is, in its mode, with its
    gradients; a parameter that is in `dtype` already is copied all the same. Each number is rounded once, to the
    nearest.

    Raises ValueError for a dtype other than bfloat16, float16 and float32, naming it, and OverflowError for a
    finite weight that would become infinite, naming the parameter: float16 ends at 65,504.
    """
    if dtype not in ALLOWED:
        raise ValueError(f"the dtype must be {', '.join(map(str, ALLOWED))}, not {dtype}")
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.is_floating_point() and not tensor.to(dtype)[tensor.isfinite()].isfinite().all():
            raise OverflowError(f"{name} has a number too large for {dtype}")
    # A parameter's deep copy has no gradient, and one in two places is copied once.
    return copy.deepcopy(model).to(dtype).eval().requires_grad_(False)
