"""Processes that a test starts do one thing together, and end together."""

import pytest
import torch
import torch.distributed as dist

from shared.processes import spawn


def test_each_process_is_a_rank_and_returns_what_it_found():
    assert spawn(added, 10) == [{"rank": 0, "sum": 11.0}, {"rank": 1, "sum": 11.0}]
    assert spawn(added, 5, ranks=1) == [{"rank": 0, "sum": 5.0}]


def added(most):
    assert dist.get_backend() == "gloo", "no GPU is needed, however many processes there are"
    number = torch.tensor(float(dist.get_rank()) + most / dist.get_world_size())
    dist.all_reduce(number)
    return {"rank": dist.get_rank(), "sum": number.item()}


def test_a_process_that_fails_ends_the_others():
    with pytest.raises(NotImplementedError, match="rank 1 cannot") as caught:
        spawn(fails_in_the_second)
    assert "in process 1:" in caught.value.__notes__[0]


def fails_in_the_second():
    if dist.get_rank() == 1:
        raise NotImplementedError("rank 1 cannot")
    dist.barrier()
