"""A model and its cache as C++ reads them (given/step.cpp): plain structs of numbers and addresses, made once."""

import ctypes
from collections.abc import Sequence
from ctypes import c_float, c_int, c_int64, c_void_p
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from phase03_core_inference.project08_kv_cache.given.kernels import addresses, padded
from shared.phase01 import LLM, rotary_angles


@runtime_checkable
class Buffers(Protocol):
    """What C++ asks of a cache: KVCache has it, and so may one that lies otherwise in memory."""

    keys: list[Tensor]
    values: list[Tensor]

    @property
    def capacity(self) -> int:
        """How many slots a row has in each head."""
        ...

    def slots(self) -> tuple[list[int], list[int], list[int]]:
        """The rows of the step's tokens, the slot of each, and how many are held with it."""
        ...


class Matrix(ctypes.Structure):
    """given/product.cpp's."""

    _fields_ = (("numbers", c_void_p), ("n", c_int64), ("k", c_int64))


MATRICES = ("q", "k", "v", "out", "gate", "up", "down")
GAINS = ("attention_norm", "feed_forward_norm", "q_norm", "k_norm")


class Layer(ctypes.Structure):
    """given/step.cpp's."""

    _fields_ = (
        *((name, Matrix) for name in MATRICES),
        *((name, c_void_p) for name in GAINS),
        ("keys", c_void_p),
        ("values", c_void_p),
    )


class Model(ctypes.Structure):
    """given/step.cpp's."""

    _fields_ = (
        *((name, c_int64) for name in ("layers", "dim", "heads", "kv_heads", "width", "hidden", "capacity")),
        ("eps", c_float),
        ("softcap", c_float),
        ("layer", ctypes.POINTER(Layer)),
        ("embedding", c_void_p),
        ("embedding_stride", c_int64),
        ("norm", c_void_p),
        ("head", Matrix),
    )


class Step(ctypes.Structure):
    """given/step.cpp's."""

    _fields_ = (
        ("count", c_int64),
        *((name, c_void_p) for name in ("tokens", "rows", "slots", "lengths", "cos", "sin", "logits")),
        ("threads", c_int),
    )


class Packed:
    """A model's weights as C++ reads them. What has the right form already is not copied, so it must not be resized."""

    def __init__(self, model: LLM):
        self.config = config = model.config
        self._kept: list[Tensor] = []  # what the addresses point to
        self._layers = (Layer * config.layers)()
        for layer, block in zip(self._layers, model.blocks, strict=True):
            parts: dict[str, nn.Module] = dict(block.named_modules())
            for name in MATRICES:
                inside = "attention" if name in ("q", "k", "v", "out") else "feed_forward"
                part = parts.get(f"{inside}.{name}")
                if part is not None:
                    setattr(layer, name, self._matrix(part))
            for name in GAINS:
                part = parts[f"attention.{name}" if name in ("q_norm", "k_norm") else name]
                setattr(layer, name, self._gain(part))
        head = self._matrix(model.head)
        tied = config.tied_embeddings
        embedding = self._kept[-1] if tied else self._keep(model.embedding.weight.detach().contiguous())
        self.struct = Model(
            config.layers, config.dim, config.heads, config.kv_heads, config.head_width, config.hidden_dim, 0,
            config.norm_eps, config.logit_softcap or 0.0, self._layers, embedding.data_ptr(), embedding.shape[1],
            self._gain(model.norm), head,
        )  # fmt: skip

    def _keep(self, tensor: Tensor) -> Tensor:
        self._kept.append(tensor)
        return tensor

    def _matrix(self, part: nn.Module) -> Matrix:
        weight = self._keep(padded(part.get_parameter("weight")))
        return Matrix(weight.data_ptr(), *weight.shape)

    def _gain(self, part: nn.Module) -> int | None:
        weight = dict(part.named_parameters()).get("weight")
        return None if weight is None else self._keep(weight.detach().float().contiguous()).data_ptr()

    def use(self, cache: Buffers) -> None:
        """Note where the cache's buffers are now: they move when it grows."""
        self.struct.capacity = cache.capacity
        for layer, keys, values in zip(self._layers, cache.keys, cache.values, strict=True):
            layer.keys, layer.values = keys.data_ptr(), values.data_ptr()

    def step(
        self, cache: Buffers, tokens: Sequence[int], positions: Tensor, logits: Tensor, threads: int
    ) -> Step:
        """The planned step of a cache, one token for each row that `cache.slots` names; logits is (row, vocab)."""
        angles = rotary_angles(positions, self.config.head_width, self.config.rope_base)
        cos, sin = angles.cos().contiguous(), angles.sin().contiguous()
        numbers = [addresses(part) for part in (tokens, *cache.slots())]
        step = Step(
            len(tokens), *(ctypes.addressof(part) for part in numbers), cos.data_ptr(), sin.data_ptr(),
            logits.data_ptr(), threads,
        )  # fmt: skip
        step.kept = numbers, cos, sin, logits  # as long as the struct lives
        return step
