"""A linear layer with adapters: its weight is frozen, and what training changes is a product of two small matrices.

    y = W x + scaling · B A x            W (out, in) frozen; A (rank, in) and B (out, rank) learn

Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models" (arXiv:2106.09685). Rank-stabilised: Kalajdzievski
2023 (arXiv:2312.03732).
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from shared.kinds import check_kinds

EVERYWHERE = ("q", "k", "v", "out", "gate", "up", "down")
"""all linear layers in the blocks of project 3's model"""


@dataclass(frozen=True)
class LoraConfig:
    """What an adapter is like. Raises ValueError for numbers out of range, and for no targets."""

    rank: int = 8
    """the width of the bottleneck; r in the paper and in peft"""
    alpha: float = 16.0
    """how strongly the adapter speaks, whatever its rank"""
    targets: tuple[str, ...] = EVERYWHERE
    """the layers that get one, by the end of their names: q, attention.q or blocks.0.attention.q"""
    dropout: float = 0.0
    """the share of the adapter's inputs that training drops; the base's input is never dropped"""
    rslora: bool = False
    """rank-stabilised: scaled by alpha / √rank"""
    dora: bool = False
    """learn each output's length apart from its direction (dora.py)"""

    def __post_init__(self):
        check_kinds(self)
        if self.rank < 1:
            raise ValueError(f"rank must be at least 1, not {self.rank}")
        if not self.alpha > 0:
            raise ValueError(f"alpha must be above 0, not {self.alpha}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, not {self.dropout}")
        if not self.targets or not all(self.targets):
            raise ValueError("targets must name at least one layer, such as q, and none may be empty")

    @property
    def scaling(self) -> float:
        """What B A x is multiplied by: alpha / rank, or, rank-stabilised, alpha / √rank.

        Divided by the rank, an adapter of a larger rank takes steps of about the same size, and the learning rate need
        not be found anew. For large ranks that is too much: √rank keeps them learning.
        """
        return self.alpha / (math.sqrt(self.rank) if self.rslora else self.rank)


class LoRA(nn.Module):
    """One adapter of one linear layer: A (rank, in) and B (out, rank), in float32 at least, on the base's device."""

    def __init__(self, base: nn.Linear, config: LoraConfig):
        super().__init__()
        weight = base.weight
        room = {"dtype": torch.promote_types(weight.dtype, torch.float32), "device": weight.device}
        self.config = config
        self.A = nn.Parameter(torch.empty(config.rank, base.in_features, **room))
        self.B = nn.Parameter(torch.empty(base.out_features, config.rank, **room))
        self.dropout = nn.Dropout(config.dropout)
        self.reset(base)
        self.train(base.training)  # put on a model in evaluation mode, it must not drop anything

    def reset(self, base: nn.Linear) -> None:
        """Begin anew: A uniform between ± 1/√in, as torch begins a linear layer, and B zero.

        Then B A is zero, and the layer begins as the frozen one. Both zero, neither would ever get a gradient. The
        uniform numbers are torch's `kaiming_uniform_` with a = √5. `base` is not needed here; DoRA reads its weight.
        """
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))
        nn.init.zeros_(self.B)

    def forward(
        self, x: Float[Tensor, "*rest inputs"], y: Float[Tensor, "*rest outputs"], base: nn.Linear
    ) -> Float[Tensor, "*rest outputs"]:
        """y + scaling · B A dropout(x), where x is what the layer reads, and y what the frozen `base` makes of x.

        Two narrow products, first A, then B: B A itself is as large as W, and is never made here. x is brought to the
        adapter's dtype, the update back to y's, so a bfloat16 model stays in bfloat16. Dropout acts in training only
        (`self.dropout`). `base` is not needed here; DoRA reads its weight.
        """
        narrow = F.linear(self.dropout(x).to(self.A.dtype), self.A)  # (*rest, rank)
        update = F.linear(narrow, self.B)  # (*rest, outputs)
        return y + (self.config.scaling * update).to(y.dtype)

    def merged_weight(self, weight: Float[Tensor, "outputs inputs"]) -> Float[Tensor, "outputs inputs"]:
        """W + scaling · B A: one matrix that does what base and adapter do together, in `weight`'s dtype.

        Added up in the adapter's dtype or the weight's, whichever is finer, and rounded once. `weight` is left as it
        is, and the result needs no gradient.
        """
        with torch.no_grad():
            exact = weight.to(torch.promote_types(weight.dtype, self.A.dtype))
            return (exact + self.config.scaling * (self.B @ self.A)).to(weight.dtype)


class LoRALinear(nn.Module):
    """A frozen linear layer, `base`, with adapters by name, of which one is in use, or none, or one for each row.

    `chosen` says which: a name, None, or a tuple with a name or None for each row of the batch. A name that this layer
    has no adapter for changes nothing here: adapters may have different targets. `merged` holds, by adapter, a layer
    with the merged weight in it, which then does the work alone (merging.py). The base itself is never changed.
    """

    def __init__(self, base: nn.Linear):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.adapters = nn.ModuleDict()
        self.merged = nn.ModuleDict()
        self.chosen: str | tuple[str | None, ...] | None = None
        self.train(base.training)

    def forward(self, x: Float[Tensor, "*rest inputs"]) -> Float[Tensor, "*rest outputs"]:
        """The layer's output with what is chosen: `by_row` for a tuple, else `with_adapter`."""
        if isinstance(self.chosen, tuple):
            return self.by_row(x, self.chosen)
        return self.with_adapter(x, self.chosen)

    def with_adapter(
        self, x: Float[Tensor, "*rest inputs"], name: str | None
    ) -> Float[Tensor, "*rest outputs"]:
        """The output with this adapter for all rows: the merged layer's alone, where `merged` has one of this name.

        Otherwise the base's output y, and, where `adapters` has one of this name, that adapter called with x, y and
        the base. For None, and for a name that is in neither, it is the base's output.
        """
        if name is not None and name in self.merged:
            return self.merged[name](x)
        y = self.base(x)
        if name is not None and name in self.adapters:
            y = self.adapters[name](x, y, self.base)
        return y

    def by_row(
        self, x: Float[Tensor, "row *rest inputs"], names: tuple[str | None, ...]
    ) -> Float[Tensor, "row *rest outputs"]:
        """Each row with the adapter that `names` has for it: row i is `with_adapter(x[i : i + 1], names[i])`.

        The base reads all rows at once, and an adapter its own rows at once (all of them, wherever they stand), so a
        batch for many users costs little more than one for a single user. Gradients reach all adapters in use. Raises
        ValueError unless there are as many names as rows, naming both numbers.
        """
        if len(names) != len(x):
            raise ValueError(f"there are adapters for {len(names)} rows, and the batch has {len(x)} rows")
        y = self.base(x)
        for name in dict.fromkeys(names):
            if name is None or name not in self.adapters:
                continue
            places = torch.tensor([i for i, one in enumerate(names) if one == name], device=x.device)
            if name in self.merged:
                part = self.merged[name](x[places])
            else:
                part = self.adapters[name](x[places], y[places], self.base)
            y = y.index_copy(0, places, part)
        return y


def lora_layers(model: nn.Module) -> dict[str, LoRALinear]:
    """The layers of a model that have adapters, by name; one that stands in several places counts once."""
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, LoRALinear)}


def check_adapter(model: nn.Module, name: str) -> None:
    """Raises ValueError for an adapter that no layer has, naming it and those there are."""
    known = dict.fromkeys(one for layer in lora_layers(model).values() for one in layer.adapters)
    if name not in known:
        raise ValueError(f"there is no adapter {name!r}; there is {', '.join(known) or 'none'}")


def adapter_in_use(model: nn.Module) -> str:
    """The name of the adapter that all rows use. Raises ValueError where there is none, or rows have their own."""
    chosen = {layer.chosen for layer in lora_layers(model).values()}
    if len(chosen) != 1 or not isinstance(name := chosen.pop(), str):
        raise ValueError("no adapter is in use for all rows; say which one is meant, by its name")
    return name
