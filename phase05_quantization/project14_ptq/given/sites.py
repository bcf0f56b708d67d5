"""Where a scale can stand between layers in project 3's block: what makes a vector, and the layers that read it."""

from typing import NamedTuple

from torch import nn


class Site(NamedTuple):
    """A place for a scale. `readers` are names in the block; all of them are given the same vector."""

    before: nn.Module
    readers: tuple[str, ...]


def sites(block: nn.Module) -> list[Site]:
    """After the two norms, and between `up` and `down`, whose product with the gate is by entry.

    Not between v and out: with fewer heads of values than of queries, several inputs of `out` are one output of v.
    """
    gate = ("feed_forward.gate",) if "feed_forward.gate" in dict(block.named_modules()) else ()
    attention_norm, norm = block.get_submodule("attention_norm"), block.get_submodule("feed_forward_norm")
    found = [
        Site(attention_norm, ("attention.q", "attention.k", "attention.v")),
        Site(norm, (*gate, "feed_forward.up")),
    ]
    if gate:  # a squared ReLU between them would square the scale
        found.append(Site(block.get_submodule("feed_forward.up"), ("feed_forward.down",)))
    return found
