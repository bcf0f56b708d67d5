"""The methods of this project by name, on a whole model: what the command, the benchmark and the notebook use."""

from itertools import islice
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from phase05_quantization.project14_ptq.activations import Int8Linear
from phase05_quantization.project14_ptq.calibration import InputObserver, calibrate
from phase05_quantization.project14_ptq.clipping import search_clip
from phase05_quantization.project14_ptq.given.sites import sites
from phase05_quantization.project14_ptq.gptq import gptq
from phase05_quantization.project14_ptq.grids import Grid, Quantized, nearest, quantize
from phase05_quantization.project14_ptq.quant_linear import (
    QuantEmbedding,
    QuantLinear,
    quantize_embedding,
    quantize_linears,
)
from phase05_quantization.project14_ptq.scales import fold, search_scale, smooth_scale
from shared import tinyworld
from shared.phase01 import LLM, PromptTokenizer, replace_linears

METHODS = ("nearest", "clip", "gptq", "gptq-order", "gptq-clip", "awq", "awq-clip")
EMBEDDING = Grid(8, "channel", scale_dtype=torch.float16)
"""of the embedding and the head"""


def calibration_tokens(
    tokenizer: Any, rows: int = 16, time: int = 512, seed: int = 5
) -> Int[Tensor, "rows time"]:
    """The text of training, other documents of it, end to end: half documents of all kinds, half questions."""
    prompts = PromptTokenizer(tokenizer)
    texts = (one.text for one in tinyworld.documents("train", seed))
    asked = (one.text for one in tinyworld.instructions("train", seed))
    ids: list[int] = []
    while len(ids) < rows * time:
        for text in [next(texts), *islice(asked, 8)]:
            ids += prompts.encode(text)
    return torch.tensor(ids[: rows * time]).view(rows, time)


def check_method(method: str) -> None:
    """Raises ValueError for a method that is none, naming it."""
    if method not in METHODS:
        raise ValueError(f"there is no method {method!r}; there are {', '.join(METHODS)}")


def clipped(weight: Tensor, grid: Grid) -> Quantized:
    """To the nearest code, in the range that `search_clip` finds."""
    qparams = search_clip(weight, grid)
    return Quantized(quantize(weight, qparams, grid), qparams, grid)


@torch.no_grad()
def quantize_model(
    model: LLM, method: str, grid: Grid, tokens: Tensor | None = None, embedding: Grid | None = EMBEDDING
) -> None:
    """All linear layers of the blocks by one of METHODS, and embedding and head to the nearest code of their own grid.

    In place. Raises ValueError for a method that is none, and where one needs tokens to calibrate on and has none.
    """
    check_method(method)
    if method == "nearest":
        quantize_linears(model, lambda name, linear: nearest(linear.weight, grid))
    elif method == "clip":
        quantize_linears(model, lambda name, linear: clipped(linear.weight, grid))
    else:
        if tokens is None:
            raise ValueError(f"{method} needs tokens to calibrate on")
        calibrate(
            model, tokens, replacement(method, grid), prepare=awq(grid) if method[:3] == "awq" else None
        )
    if embedding is not None:
        quantize_embedding(model, embedding)


def replacement(method: str, grid: Grid) -> Any:
    """What `calibrate` asks about each layer."""

    def replace(name: str, linear: nn.Linear, seen: InputObserver) -> nn.Module:
        weight = linear.weight
        if method == "awq":
            return QuantLinear(linear, nearest(weight, grid))
        if method == "awq-clip":
            return QuantLinear(linear, clipped(weight, grid))
        qparams = search_clip(weight, grid) if method == "gptq-clip" else None
        found = gptq(weight, seen.hessian, grid, qparams=qparams, act_order=method == "gptq-order")
        return QuantLinear(linear, found)

    return replace


def awq(grid: Grid) -> Any:
    """What `calibrate` does to each block first: AWQ's scales at each of its sites."""

    def prepare(block: nn.Module, seen: dict[str, InputObserver]) -> None:
        for before, readers in sites(block):
            linears = [linear_at(block, name) for name in readers]
            observer = seen[readers[0]]
            weights = [linear.weight for linear in linears]
            fold(before, linears, search_scale(weights, observer.hessian, observer.mean_abs, grid))

    return prepare


def linear_at(block: nn.Module, name: str) -> nn.Linear:
    """The linear layer of this name."""
    found = block.get_submodule(name)
    assert isinstance(found, nn.Linear)
    return found


@torch.no_grad()
def smooth(model: LLM, tokens: Tensor, alpha: float = 0.5) -> None:
    """SmoothQuant's scales after each norm; the function stays as it is."""

    def prepare(block: nn.Module, seen: dict[str, InputObserver]) -> None:
        for before, readers in sites(block)[:2]:
            linears = [linear_at(block, name) for name in readers]
            scale = smooth_scale([linear.weight for linear in linears], seen[readers[0]].max_abs, alpha)
            fold(before, linears, scale)

    calibrate(model, tokens, lambda name, linear, seen: None, prepare=prepare)


def use_int8(model: LLM, threshold: float = 0.0) -> list[str]:
    """An Int8Linear in the place of each linear layer of the blocks."""
    return replace_linears(model.blocks, lambda name, linear: Int8Linear(linear, threshold))


@torch.no_grad()
def as_floats(model: LLM) -> LLM:
    """The same function with plain layers that hold the dequantized weights: what codes do, measured at full speed."""
    embedding: nn.Module = model.embedding
    if isinstance(embedding, QuantEmbedding):
        plain = nn.Embedding.from_pretrained(embedding.weight, freeze=False)
        model.set_submodule("embedding", plain)

    def rule(name: str, linear: nn.Linear) -> nn.Module | None:
        if not isinstance(linear, QuantLinear):
            return None
        made = nn.Linear(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
        made.weight, made.bias = nn.Parameter(linear.weight), linear.bias
        return made

    replace_linears(model, rule)
    return model
