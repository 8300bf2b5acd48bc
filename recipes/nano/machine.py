"""What nano is trained on, and what is chosen by it: how many stages at a time, and what computes and draws in each.

Batches, steps and precision are the same everywhere, but for TF32, and for Muon where there is bfloat16: nano is so small
that a GPU would spend its time on being told what to do, not on doing it. Nothing is compiled: on a CPU MTP's layers gained
a twentieth by it, after four minutes. No GPU has run this yet.
"""

import os
from ctypes.util import find_library
from dataclasses import dataclass
from typing import Literal

import torch

from thinktalk.parallel.world import own_device

MOST = 4  # stages that can run side by side


@dataclass(frozen=True)
class Share:
    """What a stage gets of a machine: where it computes, by how many threads, and how many draw its examples; and for how
    many times as long."""

    device: torch.device
    threads: int = 1
    workers: int = 0
    longer: float = 1.0

    def steps(self, usual: int) -> int:
        """How many a stage learns for, which usually are so many."""
        return round(self.longer * usual)

    @property
    def muon_precision(self) -> Literal["fp32", "bf16"]:
        """In what Muon computes. A whole stage in bfloat16 is no quicker: oneDNN prepares itself anew for every shape."""
        has_bfloat16 = self.device.type == "cuda" or torch.cpu.get_capabilities().get("avx512_bf16")
        return "bf16" if has_bfloat16 else "fp32"


@dataclass(frozen=True)
class Machine:
    """A device, and the cores beside it."""

    device: torch.device
    cores: int

    @property
    def side_by_side(self) -> int:
        """How many stages run at a time."""
        return min(self.cores, MOST)

    @property
    def each(self) -> int:
        """Cores of a stage that runs beside others."""
        return max(1, self.cores // MOST)

    @property
    def alone(self) -> int:
        """Cores of the stage that is left in the end."""
        return self.cores if self.device.type == "cpu" else self.each

    def share(self, cores: int, longer: float = 1.0) -> Share:
        """What a stage does with its cores. Beside a GPU one of them tells it what to do, and all draw."""
        if self.device.type == "cpu":
            return Share(self.device, threads=cores, longer=longer)
        return Share(self.device, workers=cores, longer=longer)


def allocator() -> dict[str, str]:
    """The environment in which stages get their memory from tcmalloc, where that is installed.

    Tensors are of ever new sizes, and among what is free the C library looks longer and longer for one that fits: a fifth
    of a step of `general` after some hundred, a twentieth of one of `speaking`.
    """
    library = find_library("tcmalloc_minimal")
    return {"LD_PRELOAD": library} if library else {}


def found() -> Machine:
    """The machine this is."""
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")
    return Machine(own_device(), os.cpu_count() or 1)
