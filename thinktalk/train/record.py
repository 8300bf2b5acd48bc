"""What a run leaves for people: run.json, what it was, and log.jsonl, how it went."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from thinktalk.parallel.world import World
from thinktalk.train.plan import Plan
from thinktalk.train.saving import write_aside
from thinktalk.train.stage import Stage

PACKAGE = Path(__file__).parents[1]


def write_run(stage: Stage[Any], plan: Plan, world: World, step: int, folder: Path) -> None:
    """Write folder/run.json for a run that begins, or goes on, at `step`. What it said before is kept inside."""
    record = {
        "stage": stage.name,
        "commit": commit(),
        "thinktalk": package_version(),
        "torch": torch.__version__,
        "device": device_name(world.device),
        "processes": world.size,
        "seed": plan.seed,
        "plan": asdict(plan),
        "config": config_of(stage),
        "data": stage.data_hash(),
        "from_step": step,
    }
    path = folder / "run.json"
    if step and path.exists():
        earlier = json.loads(path.read_text())
        record["before"] = [*earlier.pop("before", []), earlier]
    text = json.dumps(record, indent=1, default=str)
    write_aside(path, lambda file: file.write(text.encode()))


def commit() -> str | None:
    """The commit of the repository that this package is a part of, "+" behind it if files differ; else None."""

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(PACKAGE), *words], capture_output=True, text=True, check=False
            )
        except OSError:  # there is no git
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    if (
        git("ls-files", "--error-unmatch", "__init__.py") is None
    ):  # perhaps installed inside another repository
        return None
    head, changed = git("rev-parse", "HEAD"), git("status", "--porcelain", "--untracked-files=no")
    return f"{head}+" if changed else head


def package_version() -> str | None:
    """The installed version of thinktalk; None where it is not installed but on the path."""
    try:
        return version("thinktalk")
    except PackageNotFoundError:
        return None


def device_name(device: torch.device) -> str:
    """ "cpu", or what the GPU calls itself."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def config_of(stage: Stage[Any]) -> dict[str, Any]:
    """What a stage was made with, as far as that is numbers, words and records of them."""
    config: dict[str, Any] = {}
    for name, value in vars(stage).items():
        if is_dataclass(value) and not isinstance(value, type):
            config[name] = asdict(value)
        elif isinstance(value, bool | int | float | str):
            config[name] = value
    return config


# --------------------------------------------------------------------------- log.jsonl


def append(line: Mapping[str, float], folder: Path) -> None:
    """Add a line to the log, for good: it is on the disk before the next checkpoint is."""
    with (folder / "log.jsonl").open("a") as log:
        log.write(json.dumps(line) + "\n")
        log.flush()
        os.fsync(log.fileno())


def cut(folder: Path, step: int) -> None:
    """Take out of the log what came after `step`: those steps are about to be taken again."""
    path = folder / "log.jsonl"
    if not path.exists():
        return
    lines = path.read_text().splitlines(keepends=True)
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
    if kept != lines:
        write_aside(path, lambda file: file.write("".join(kept).encode()))
