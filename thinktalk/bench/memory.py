"""How much memory a process or a GPU uses, has used at most, and has left."""

import ctypes
import gc
from pathlib import Path

import torch

STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
KIB = 1024


def free(device: torch.device) -> int | None:
    """Bytes that new weights could take on `device`; None where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    available = _kib(Path("/proc/meminfo"), "MemAvailable")
    return available if device.type == "cpu" else None


class Peak:
    """How far memory rises above what it was when this was made: the process's, or the GPU's.

    On a CPU it needs Linux; elsewhere `above` is None.
    """

    def __init__(self, device: torch.device):
        self._device = device
        gc.collect()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            torch.cuda.reset_peak_memory_stats(device)
            self._before: int | None = torch.cuda.memory_allocated(device)
            return
        give_back()
        if FORGET.exists():
            FORGET.write_text("5")  # the highest so far is now
        self._before = _kib(STATUS, "VmRSS")

    def above(self) -> int | None:
        """Bytes."""
        if self._before is None:
            return None
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) - self._before
        highest = _kib(STATUS, "VmHWM")
        return None if highest is None else max(0, highest - self._before)


def give_back() -> None:
    """Let the system have what the allocator keeps of freed memory, where it can be asked to."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _kib(file: Path, name: str) -> int | None:
    """The bytes of a line `name: N kB`."""
    if not file.exists():
        return None
    lines = (line.split() for line in file.read_text().splitlines())
    return next((int(words[1]) * KIB for words in lines if words and words[0] == f"{name}:"), None)
