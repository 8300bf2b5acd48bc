"""The machine that figures are from, and the most that it can do."""

import os
import platform
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

READ_BYTES = 256 * 2**20  # far more than caches hold
WIDTHS = {"cpu": 1024, "cuda": 8192}  # of the square matrices that are multiplied
TIMES = 7


@dataclass(frozen=True)
class Machine:
    """What figures depend on. `load` is how many processes were running besides."""

    name: str
    device: str
    dtype: str
    cores: int
    threads: int
    load: float | None
    torch: str
    commit: str | None

    def __str__(self) -> str:
        parts = [
            self.name,
            f"{self.device}, {self.dtype}",
            f"{self.threads} of {self.cores} cores",
            f"torch {self.torch}",
            f"commit {self.commit or 'unknown'}",
        ]
        if self.load is not None:
            parts.append(f"load {self.load:.1f} at the start")
        return "; ".join(parts)


@dataclass(frozen=True)
class Speed:
    """Bytes read and floating-point operations a second, as measured here: the roofline."""

    bandwidth: float
    flops: float


def machine(device: torch.device, dtype: torch.dtype) -> Machine:
    """This one."""
    return Machine(
        name=torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        device=device.type,
        dtype=str(dtype).removeprefix("torch."),
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        torch=torch.__version__,
        commit=_commit(),
    )


@torch.inference_mode()
def speed(device: torch.device, dtype: torch.dtype, read_bytes: int = READ_BYTES) -> Speed:
    """Measured: a matrix of `read_bytes` times a vector reads it once; square matrices are multiplied."""
    width = WIDTHS.get(device.type, 1024)
    wide = torch.ones(read_bytes // dtype.itemsize // width, width, device=device, dtype=dtype)
    vector = torch.ones(width, device=device, dtype=dtype)
    square = torch.ones(width, width, device=device, dtype=dtype)
    read = _seconds(lambda: torch.mv(wide, vector), device)
    multiplied = _seconds(lambda: square @ square, device)
    return Speed(wide.nbytes / read, 2 * width**3 / multiplied)


def wait_for(device: torch.device) -> None:
    """Until the device has done what it was asked to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    times = []
    for _ in range(TIMES):
        wait_for(device)
        began = time.perf_counter()
        work()
        wait_for(device)
        times.append(time.perf_counter() - began)
    return min(times)  # the most that it can do


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _commit() -> str | None:
    """Of the clone that this file is in, with a + where it was changed since; None if there is none."""
    here = Path(__file__)
    if (
        _git(here, "ls-files", "--error-unmatch", here.name) is None
    ):  # installed within another project's clone
        return None
    return _git(here, "describe", "--always", "--dirty=+", "--exclude=*")


def _git(file: Path, *asked: str) -> str | None:
    command = ["git", "-C", str(file.parent), *asked]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip()
