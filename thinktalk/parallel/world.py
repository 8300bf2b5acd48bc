"""Who takes part in a run: one process, or all that torchrun started. Light to import."""

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class World:
    """The processes of a run, and which of them this is."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process speaks for all: it logs, shows and writes."""
        return self.rank == 0


def own_device() -> torch.device:
    """The GPU of this process, by its LOCAL_RANK, or the CPU where there is none."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))


def join(device: torch.device) -> World:
    """Meet the other processes, if torchrun started any, over NCCL on GPUs and gloo on CPUs."""
    size = int(os.environ.get("WORLD_SIZE", 1))
    if size == 1:
        return World(0, 1, device)
    if not dist.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
        atexit.register(dist.destroy_process_group)
    return World(dist.get_rank(), size, device)


def summed(tensor: Tensor) -> Tensor:
    """The sum over all processes, without gradient; in one process the tensor itself."""
    if not dist.is_initialized():
        return tensor
    total = tensor.detach().clone()
    dist.all_reduce(total)
    return total


def gathered(value: Any) -> list[Any]:
    """What each process has, in order of rank. Of plain values and CPU tensors."""
    if not dist.is_initialized():
        return [value]
    values = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def meet() -> None:
    """Wait for the other processes."""
    if dist.is_initialized():
        dist.barrier()


@contextmanager
def first_goes_first(world: World) -> Iterator[None]:
    """The first process does what the block says alone; the others do it after it, and find what it has left."""
    if not world.is_first:
        meet()
    yield
    if world.is_first:
        meet()
