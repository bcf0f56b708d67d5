"""One base, many adapters: which one is in use, none for a moment, or another one for each row of a batch.

A server keeps one base for all its users, and their adapters are a hundredth of it each. And a policy in preference
training has its reference in itself: the same model, its adapter switched off.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from phase02_finetuning.project05_lora.lora import check_adapter, lora_layers


def use_adapter(model: nn.Module, name: str | None) -> None:
    """From now on, all rows use this adapter, or, for None, the base alone: `chosen` of every layer with adapters.

    Raises ValueError for an adapter there is not, and then nothing is changed.
    """
    if name is not None:
        check_adapter(model, name)
    for layer in lora_layers(model).values():
        layer.chosen = name


@contextmanager
def adapters_off(model: nn.Module) -> Iterator[None]:
    """Inside the block, the model is its base. After it, each layer uses what it used before, after an error too.

    Raises ValueError, before the block begins, for a model without any adapter: who asks for the reference of a model
    that was trained as a whole would get that model itself.
    """
    if not lora_layers(model):
        raise ValueError("the model has no adapters: there is no base to switch back to")
    with _chosen(model, None):
        yield


@contextmanager
def select_adapter(model: nn.Module, rows: Sequence[str | None]) -> Iterator[None]:
    """Inside the block, row i of every batch uses the adapter rows[i], or for None the base. After it, as before.

    After an error too: a request's adapter must not answer the next one. With gradient checkpointing, the backward pass
    belongs inside, for it computes layers again. Raises ValueError, before the block begins, for an adapter there is
    not, and for no rows at all; inside, the model raises it for a batch of another number of rows.
    """
    if not rows:
        raise ValueError("rows must name an adapter, or None, for each row of the batch")
    for name in dict.fromkeys(rows):
        if name is not None:
            check_adapter(model, name)
    with _chosen(model, tuple(rows)):
        yield


@contextmanager
def _chosen(model: nn.Module, chosen: str | tuple[str | None, ...] | None) -> Iterator[None]:
    """Inside the block, every layer with adapters has this `chosen`; after it, its own again."""
    before = {layer: layer.chosen for layer in lora_layers(model).values()}
    try:
        for layer in before:
            layer.chosen = chosen
        yield
    finally:
        for layer, own in before.items():
            layer.chosen = own
