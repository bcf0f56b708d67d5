"""Calibration: a few thousand tokens go through the model, and each layer notes what it is given.

GPTQ asks for H = 2 · mean of x xᵀ over tokens: for a change ΔW of the weights, the mean squared change of the outputs
is ½ · trace(ΔW H ΔWᵀ). AWQ asks for the mean of |x|, SmoothQuant for its maximum.

Layers are quantized block by block, and each block sees what the quantized blocks before it make of the text: so it can
make up for them. Frantar et al. 2022 (arXiv:2210.17323), section 4.
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from shared.phase01 import LLM, replace_linears, rotary_angles, torch_attention


class InputObserver:
    """What a layer's inputs are like, over `count` tokens: `hessian` (inputs, inputs), `mean_abs` and `max_abs`."""

    def __init__(self, inputs: int):
        self.count = 0
        self.hessian = torch.zeros(inputs, inputs)
        self.mean_abs, self.max_abs = torch.zeros(inputs), torch.zeros(inputs)

    def update(self, x: Float[Tensor, "*rest inputs"], counts: Bool[Tensor, "*rest"] | None = None) -> None:
        """Take in more inputs, one for each token: of those where `counts` is False, the padding, nothing is noted.

        After any number of updates `hessian` is 2 · (mean of x xᵀ) over all tokens that counted, `mean_abs` the mean
        of |x|, and `max_abs` its maximum, in float32, however the tokens came: all at once or one by one. An update
        without tokens changes nothing.
        """
        rows = x.detach().float()
        rows = rows.reshape(-1, rows.shape[-1]) if counts is None else rows[counts]
        if not len(rows):
            return
        total = self.count + len(rows)
        old, new = self.count / total, len(rows) / total
        self.hessian = old * self.hessian + new * (2 * rows.T @ rows / len(rows))
        self.mean_abs = old * self.mean_abs + new * rows.abs().mean(dim=0)
        self.max_abs = torch.maximum(self.max_abs, rows.abs().amax(dim=0))
        self.count = total


def _note(
    observer: InputObserver, counts: Tensor | None, layer: nn.Module, inputs: tuple[Tensor, ...]
) -> None:
    """A hook: what a layer is given."""
    observer.update(inputs[0], counts)


Replace = Callable[[str, nn.Linear, InputObserver], nn.Module | None]
"""a layer's full name, the layer and what its inputs are like in; what takes its place out, or None to leave it"""
Prepare = Callable[[nn.Module, dict[str, InputObserver]], None]
"""a block and what its layers' inputs are like, by their names in it: called before any of its layers is replaced"""


@torch.no_grad()
def calibrate(
    model: LLM,
    tokens: Int[Tensor, "rows time"],
    replace: Replace,
    counts: Bool[Tensor, "rows time"] | None = None,
    prepare: Prepare | None = None,
) -> list[str]:
    """Replace the linear layers of the model's blocks, one block after the other; returns their names, in order.

    For each block: run it over all rows with an InputObserver on each linear layer's input, where only tokens that
    `counts` count; give the block to `prepare`, if there is one; ask `replace` about each layer, with its full name,
    such as blocks.0.attention.q, and its observer, by the Linear seam; then run the block again, as it is now, to get
    what the next block is given. The stream begins as `model.embedding(tokens)`; a block is called as block(stream,
    angles, torch_attention), with `rotary_angles` of the positions 0, 1, 2, ... Evaluation mode; the model's mode is
    restored, and no hook stays on it, also where something raises. The embedding and the head are not touched.

    Rows go through 8 at a time, as arithmetic is the same and memory is not. Raises ValueError, before anything is
    replaced, for fewer tokens that count than the widest layer has inputs, naming both numbers: H would be singular,
    and what GPTQ makes of it worse than rounding.
    """
    widest = max(one.in_features for one in model.blocks.modules() if isinstance(one, nn.Linear))
    counted = tokens.numel() if counts is None else int(counts.sum())
    if counted < widest:
        raise ValueError(
            f"calibration needs at least {widest} tokens, as many as a layer has inputs, not {counted}"
        )
    was_training = model.training
    model.eval()
    angles = rotary_angles(
        torch.arange(tokens.shape[1], device=tokens.device), model.config.head_width, model.config.rope_base
    )
    stream = model.embedding(tokens)  # (rows, time, dim)

    def run(block: nn.Module, observers: dict[str, InputObserver]) -> Tensor:
        outputs = []
        for start in range(0, len(tokens), 8):
            part = slice(start, start + 8)
            count = None if counts is None else counts[part]
            with ExitStack() as hooks:
                for name, observer in observers.items():
                    hook = block.get_submodule(name).register_forward_pre_hook(
                        partial(_note, observer, count)
                    )
                    hooks.callback(hook.remove)
                outputs.append(block(stream[part], angles, torch_attention))
        return torch.cat(outputs)

    replaced = []
    for number, block in enumerate(model.blocks):
        layers = {name: one for name, one in block.named_modules() if isinstance(one, nn.Linear)}
        observers = {name: InputObserver(one.in_features) for name, one in layers.items()}
        run(block, observers)
        if prepare is not None:
            prepare(block, observers)
        place = f"blocks.{number}."
        rule = lambda name, linear, place=place, seen=observers: replace(place + name, linear, seen[name])  # noqa: E731
        replaced += [place + name for name in replace_linears(block, rule)]
        stream = run(block, {})
    model.train(was_training)
    return replaced
