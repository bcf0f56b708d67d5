"""From examples of different lengths to a batch: one row each, padded on the right."""

from collections.abc import Sequence

import torch

from phase02_finetuning.project04_sft.turns import Example
from shared.phase01 import IGNORED, Batch


def collate(examples: Sequence[Example], pad_id: int = 0, multiple_of: int = 1) -> Batch:
    """{"tokens": (row, time), "targets": (row, time)}, int64: each example in a row of its own, in the order given.

    The trainer's targets are one place ahead: the target of a token is the label of the token after it. So a row
    reads all of its ids but the last, and a row of n ids has n - 1 places. It is filled up on the right, with
    `pad_id` as tokens and IGNORED as targets, to the longest row, rounded up to a multiple of `multiple_of`. No
    mask is needed: a causal model cannot see what comes later, and the padding's own targets do not count. An id
    that happens to be `pad_id` is no padding: often that is the token that ends a turn.

    Raises ValueError for no examples, for multiple_of < 1, naming it with its value, and for an example of fewer
    than 2 ids or with another number of labels than ids, naming it by its number from 1.
    """
    check_examples(examples)
    if multiple_of < 1:
        raise ValueError(f"multiple_of must be at least 1, not {multiple_of}")
    longest = max(len(example.ids) for example in examples) - 1
    time = -(-longest // multiple_of) * multiple_of
    tokens = torch.full((len(examples), time), pad_id)
    targets = torch.full((len(examples), time), IGNORED)
    for row, (ids, labels) in enumerate(examples):
        tokens[row, : len(ids) - 1] = torch.tensor(ids[:-1])
        targets[row, : len(ids) - 1] = torch.tensor(labels[1:])
    return {"tokens": tokens, "targets": targets}


def check_examples(examples: Sequence[Example]) -> None:
    """Raises ValueError for no examples, and for one that is too short or has labels that are not its own."""
    if not examples:
        raise ValueError("a batch needs at least one example")
    for number, (ids, labels) in enumerate(examples, start=1):
        if len(ids) < 2 or len(labels) != len(ids):
            raise ValueError(
                f"example {number} has {len(ids)} ids and {len(labels)} labels; it needs as many of each, 2 at least"
            )
