"""What fine-tuning holds in memory, to the byte, before a GPU is rented: line by line, for any Llama shape.

                        full                 LoRA                      QLoRA
    weights             4 a weight           2 (bfloat16)              0.52, and 2 for embedding, head and norms
    adapters            -                    4 a number of A and B     the same
    gradients           4 a weight           4 a number of A and B     the same
    AdamW's moments     8 a weight           8 a number of A and B     the same
    activations         all three alike, but that a frozen layer need not keep what only its own gradient wants
    logits              all three alike

What a step makes and drops at once is not counted: a dequantized layer, a block's gradients, the allocator's rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, get_args

from phase02_finetuning.project05_lora.adapters import matches
from phase02_finetuning.project05_lora.lora import EVERYWHERE
from shared.kinds import check_kinds
from shared.phase01 import Config

Method = Literal["full", "lora", "qlora"]
Optimizer = Literal["adamw", "adamw_8bit"]
Format = Literal["float32", "bfloat16"]
BYTES = {"float32": 4, "bfloat16": 2}
SMALL = 4096
"""an 8-bit optimizer keeps the state of smaller tensors in float32, as bitsandbytes does"""


@dataclass(frozen=True)
class Setup:
    """How a model is fine-tuned. Raises ValueError for numbers and words that cannot be."""

    method: str = "lora"
    """full, lora or qlora"""
    rank: int = 8
    targets: tuple[str, ...] = EVERYWHERE
    """which layers have adapters, by the end of their names"""
    rows: int = 1
    """texts at once"""
    time: int = 512
    """tokens of a text"""
    dtype: str = "bfloat16"
    """of frozen weights and of activations: float32 or bfloat16; what is trained is in float32"""
    optimizer: str = "adamw"
    """adamw or adamw_8bit"""
    double: bool = True
    """QLoRA's scales in eight bits"""
    checkpointing: bool = False
    """each block's inside is computed again on the way back (gradient checkpointing)"""
    logits_at_once: int | None = None
    """for how many tokens logits are made at once; None: all of them"""

    def __post_init__(self):
        check_kinds(self)
        for name in ("rank", "rows", "time"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.logits_at_once is not None and self.logits_at_once < 1:
            raise ValueError(f"logits_at_once must be at least 1, or None for all, not {self.logits_at_once}")
        for name, words in (("method", Method), ("dtype", Format), ("optimizer", Optimizer)):
            if getattr(self, name) not in get_args(words):
                raise ValueError(f"{name} must be {', '.join(get_args(words))}, not {getattr(self, name)!r}")


@dataclass(frozen=True)
class Plan:
    """Bytes of each kind."""

    weights: int
    adapters: int
    gradients: int
    optimizer: int
    activations: int
    """what the forward pass keeps for the way back"""
    logits: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(getattr(self, field.name) for field in fields(self))


def linear_shapes(config: Config) -> dict[str, tuple[int, int]]:
    """(outputs, inputs) of each linear layer in the blocks, by its name in project 3's model."""
    width, kv_width = config.heads * config.head_width, config.kv_heads * config.head_width
    parts = {
        "attention.q": (width, config.dim),
        "attention.k": (kv_width, config.dim),
        "attention.v": (kv_width, config.dim),
        "attention.out": (config.dim, width),
        **({"feed_forward.gate": (config.hidden_dim, config.dim)} if config.activation == "swiglu" else {}),
        "feed_forward.up": (config.hidden_dim, config.dim),
        "feed_forward.down": (config.dim, config.hidden_dim),
    }
    return {f"blocks.{i}.{part}": shape for i in range(config.layers) for part, shape in parts.items()}


def adapted_shapes(config: Config, setup: Setup) -> dict[str, tuple[int, int]]:
    """Those of `linear_shapes` that have an adapter: none for full fine-tuning.

    Raises ValueError for a target that is none of the layers in the blocks, naming it.
    """
    shapes = linear_shapes(config)
    if setup.method == "full":
        return {}
    for target in setup.targets:
        if not any(matches(name, target) for name in shapes):
            raise ValueError(f"no layer of the blocks is called {target}")
    return {name: shape for name, shape in shapes.items() if any(matches(name, one) for one in setup.targets)}


def other_sizes(config: Config) -> list[int]:
    """The sizes of the parameters outside the blocks' linear layers: embedding, head unless tied, gains."""
    gains = [config.dim] * (2 * config.layers + 1)
    gains += [config.head_width] * (2 * config.layers * config.qk_norm)
    return [config.vocab_size * config.dim] * (1 if config.tied_embeddings else 2) + gains


def nf4_bytes(count: int, double: bool = True) -> int:
    """Bytes of a layer of so many weights in NF4: half a byte each, rounded up, and the scales of its blocks of 64.

    A block's scale is 4 bytes, the last block may be shorter. With `double` it is 1 byte, and for every 256 scales,
    the last of them perhaps fewer, there are 4 bytes more, and 4 for the offset.
    """
    blocks = -(-count // 64)
    scales = blocks + 4 * -(-blocks // 256) + 4 if double else 4 * blocks
    return -(-count // 2) + scales


def optimizer_bytes(sizes: Sequence[int], optimizer: str) -> int:
    """Bytes of AdamW's two moments, for trained tensors of these sizes, in float32: 8 a number.

    In eight bits ("adamw_8bit") 2 a number, and 4 for each moment of every block of 256, the last block perhaps
    shorter; but 8 a number in tensors of fewer than SMALL numbers. The step counters, a few bytes, are left out.
    """
    if optimizer == "adamw":
        return 8 * sum(sizes)
    return sum(8 * size if size < SMALL else 2 * size + 2 * 4 * -(-size // 256) for size in sizes)


def kept_in_block(config: Config, setup: Setup) -> int:
    """How many numbers one block keeps for each token, with project 3's model, fused attention, and no checkpointing.

    Each of these is kept if something on the way back wants it, with `trained` meaning that the layers which read it
    are trained, or have an adapter (any of them, in any block: all blocks are taken for alike):

        what both norms read                  2 · dim        always
        the same normalised, without gain     2 · dim        full fine-tuning: the gain's gradient
        what q, k, v read; what gate, up read     dim each   if any of these layers is trained
        queries, keys, values, mixed values   4 · heads · width   always (keys and values repeated for all heads)
        the mixed values in rows, for out         heads · width   if out is trained
        with qk_norm: queries and keys before their norm     (heads + kv_heads) · width     always
        and normalised, without gain          the same again      full fine-tuning
        SwiGLU: gate, silu(gate), up          3 · hidden_dim  always
        what down reads                           hidden_dim  if down is trained
        squared ReLU: relu(up) alone          1 · hidden_dim  always, and what down reads as above
        what each adapter's B reads           rank for each adapter of a block

    One number a head and token, and whatever does not grow with rows times tokens, is left out.
    """
    adapted = adapted_shapes(config, setup)
    full = setup.method == "full"
    width, kv_width = config.heads * config.head_width, config.kv_heads * config.head_width

    def trained(*parts: str) -> bool:
        return full or any(matches(name, part) for name in adapted for part in parts)

    kept = (4 if full else 2) * config.dim + (4 + trained("out")) * width
    kept += config.dim * (trained("q", "k", "v") + trained("gate", "up"))
    if config.qk_norm:
        kept += (2 if full else 1) * (width + kv_width)
    kept += config.hidden_dim * ((3 if config.activation == "swiglu" else 1) + trained("down"))
    return kept + setup.rank * len(adapted) // config.layers


def memory_plan(config: Config, setup: Setup) -> Plan:
    """The bytes of each line for a model of this shape, fine-tuned like this.

    - weights: full: all in float32. LoRA: all in `dtype`. QLoRA: the blocks' linear layers in NF4 (`nf4_bytes` of each
      layer), the rest (`other_sizes`) in `dtype`.
    - adapters: rank · (outputs + inputs) float32 numbers for each of `adapted_shapes`; none for full.
    - gradients: 4 bytes for each trained number: all weights, or the adapters.
    - optimizer: `optimizer_bytes` of the trained tensors: each weight, or each A and each B.
    - activations, in `dtype`: `kept_in_block` for each block, token and row. With checkpointing each block keeps its
      input only, dim numbers a token, and one block at a time has its inside besides. Without any of it the last norm
      keeps what it reads, dim, and for full fine-tuning also that normalised and what the head reads, dim each.
    - logits: float32, the logits and their gradient, for all tokens of all rows, or for `logits_at_once` of them where
      those are fewer.
    """
    shapes, others = linear_shapes(config), other_sizes(config)
    adapted = adapted_shapes(config, setup)
    linears = [outputs * inputs for outputs, inputs in shapes.values()]
    full, size = setup.method == "full", BYTES[setup.dtype]
    if full:
        weights = 4 * (sum(linears) + sum(others))
    elif setup.method == "lora":
        weights = size * (sum(linears) + sum(others))
    else:
        weights = sum(nf4_bytes(count, setup.double) for count in linears) + size * sum(others)
    pairs = [setup.rank * side for shape in adapted.values() for side in shape]
    trained = [*linears, *others] if full else pairs
    tokens = setup.rows * setup.time
    inside = kept_in_block(config, setup)
    kept = config.layers * config.dim + inside if setup.checkpointing else config.layers * inside
    kept += config.dim * (3 if full else 1)
    at_once = min(tokens, setup.logits_at_once or tokens)
    return Plan(
        weights=weights,
        adapters=4 * sum(pairs),
        gradients=4 * sum(trained),
        optimizer=optimizer_bytes(trained, setup.optimizer),
        activations=size * tokens * kept,
        logits=2 * 4 * at_once * config.vocab_size,
    )
