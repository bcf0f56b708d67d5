"""Several processes that train one model: who we are, started by torchrun, and how the model is spread.

    torchrun --nproc-per-node 2 -m phase01_foundation.project03_pretrain.train --preset smoke --parallel fsdp

DDP (Li et al. 2020, arXiv:2006.15704): each process has the whole model and its part of the batch; gradients are
averaged as they come. FSDP2 (Zhao et al. 2023, arXiv:2304.11277; torch's `fully_shard`): each process keeps a part of
every matrix, of its gradient and of its optimizer state, and a block is put together only while it is at work.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from shared.device import cores

PATIENCE = timedelta(hours=2)  # of those who wait for the first process: it may have a corpus to tokenise


@dataclass(frozen=True)
class Processes:
    """This process among those that train together."""

    rank: int = 0
    world_size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that prints and writes files."""
        return self.rank == 0


@contextmanager
def process_group(device: torch.device) -> Iterator[tuple[Processes, torch.device]]:
    """Join the processes that torchrun has started, and say who we are and on which device.

    Alone, where torchrun has not started us. Processes on GPUs talk through NCCL and have one GPU each; on CPUs
    through gloo. Raises ValueError where there are fewer GPUs than processes on this machine.
    """
    if "WORLD_SIZE" not in os.environ or dist.is_initialized():
        here = dist.is_initialized()
        yield (Processes(dist.get_rank(), dist.get_world_size()) if here else Processes()), device
        return
    if device.type == "cuda":
        local = int(os.environ["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            raise ValueError(f"each process needs a GPU of its own; there are {torch.cuda.device_count()}")
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Processes(dist.get_rank(), dist.get_world_size()), device
        dist.barrier()  # torchrun ends all when one ends badly, and the first may still be writing the model
    finally:
        dist.destroy_process_group()
        # What the last exchange was about, gloo's thread drops after the exchange, and needs Python for it: were this
        # process at its end by then, it would abort.
        time.sleep(0.1)


def threads_per_process() -> int:
    """One thread a core, the cores shared among the processes that torchrun has started on this machine."""
    return max(1, cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def parallelize(model: nn.Module, kind: str) -> nn.Module:
    """The model for all processes: wrapped in DDP, or, in place, sharded by FSDP. Alone, it stays as it is.

    DDP is told which GPU, where the model is on one. FSDP (`fully_shard`, all on one mesh) takes each of `model.blocks`
    by itself, so that only one is put together at a time, and then the model, for what is outside of them. Make the
    optimizers after this: FSDP puts shards in the place of the parameters.
    """
    if not dist.is_initialized():
        return model
    device = next(model.parameters()).device
    if kind == "ddp":
        return DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for block in model.get_submodule("blocks").children():
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def any_process(flag: bool) -> bool:
    """Whether the flag is set in any process: all of them get the same answer."""
    if not dist.is_initialized():
        return flag
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    answer = torch.tensor(float(flag), device=device)
    dist.all_reduce(answer, op=dist.ReduceOp.MAX)
    return bool(answer.item())
