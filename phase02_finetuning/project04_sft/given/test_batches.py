import pytest
import torch

from phase02_finetuning.project04_sft.given.batches import ExampleBatches
from phase02_finetuning.project04_sft.given.example import random_examples
from shared.phase01 import IGNORED, Processes


def chunk(number):
    return random_examples(9, seed=number)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("packed", [True, False])
def test_a_run_goes_on_where_it_stopped(packed):
    batches = ExampleBatches(chunk, 4, 40, packed)
    taken = [batches.next() for _ in range(7)]
    for stop in range(7):
        again = ExampleBatches(chunk, 4, 40, packed)
        for _ in range(stop):
            again.next()
        resumed = ExampleBatches(chunk, 4, 40, packed)
        resumed.load_state_dict(again.state_dict())
        assert all(same(resumed.next(), batch) for batch in taken[stop:])


def test_every_example_comes_once_a_chunk():
    batches = ExampleBatches(chunk, 3, 40, packed=False)
    seen = [tuple(row[row != 0].tolist()) for _ in range(6) for row in batches.next()["tokens"]]
    wanted = [tuple(id for id in one.ids[:-1] if id) for number in (0, 1) for one in chunk(number)]
    assert sorted(seen) == sorted(wanted)
    assert seen[:9] != [tuple(id for id in one.ids[:-1] if id) for one in chunk(0)], "the order is drawn"


def test_packed_rows_hold_all_targets():
    batches = ExampleBatches(chunk, 1, 40)
    count = sum(label != IGNORED for one in chunk(0) for label in one.labels[1:])
    found = 0
    while batches.state_dict()["chunk"] == 0:
        batch = batches.next()
        assert batch["tokens"].shape == (1, 40)
        found += int((batch["targets"] != IGNORED).sum())
    assert found == count


def test_processes_share_a_batch():
    whole = ExampleBatches(chunk, 4, 40)
    parts = [ExampleBatches(chunk, 4, 40, processes=Processes(rank, 2)) for rank in range(2)]
    for _ in range(5):
        one, two = (part.next() for part in parts)
        assert same({name: torch.cat([one[name], two[name]]) for name in one}, whole.next())
    with pytest.raises(ValueError, match="multiple of the 2"):
        ExampleBatches(chunk, 3, 40, processes=Processes(0, 2))


def test_no_examples_are_no_endless_search():
    with pytest.raises(ValueError, match="no example"):
        ExampleBatches(lambda _: [], 2, 40).next()
