"""The kernels' source, compiled by this machine's C compiler for this machine, once."""

import ctypes
import hashlib
import os
import platform
import shlex
import subprocess
import tempfile
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parent
FLAGS = ("-std=gnu17", "-O3", "-march=native", "-fPIC", "-shared")
PATIENCE = 120  # seconds


@cache
def library() -> ctypes.CDLL | None:
    """The compiled kernels; None where there is no compiler that can make them, or THINKTALK_NATIVE is 0.

    They are kept in the user's cache, by what they were made from and for.
    """
    if os.environ.get("THINKTALK_NATIVE") == "0":
        return None
    try:
        path = _kept()
        if not path.exists():
            _compile(path)
        return ctypes.CDLL(str(path))
    except (OSError, subprocess.SubprocessError):
        return None


def _kept() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(" ".join((_compiler(), *FLAGS, _processor())).encode())
    for source in sorted(SOURCE.glob("*.[ch]")):
        digest.update(source.read_bytes())
    return base / "thinktalk" / f"kernels-{digest.hexdigest()[:16]}.so"


def _compile(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        sources = [str(source) for source in sorted(SOURCE.glob("*.c"))]
        command = [*shlex.split(_compiler()), *FLAGS, *sources, "-o", str(made), "-lm"]
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
        made.replace(path)  # at once: another process may be at it, too


def _compiler() -> str:
    return os.environ.get("CC", "cc")


def _processor() -> str:
    """What `-march=native` means here."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    known = [line for line in lines if line.startswith(("model name", "flags", "Features"))]
    return "\n".join([platform.machine(), platform.processor(), *known[:2]])
