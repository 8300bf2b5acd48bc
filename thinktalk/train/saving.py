"""Checkpoints of a run: whole or not at all, the one before always kept.

One process writes checkpoint.pt, several write the folder checkpoint.dcp; any number goes on from either.
"""

import errno
import io
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from thinktalk.contracts import UserError
from thinktalk.parallel.world import World, gathered, meet
from thinktalk.train.stage import Stage

WHOLE, SPREAD = ".pt", ".dcp"

Tensors = Mapping[str, Mapping[str, Tensor]]


@dataclass
class Standing:
    """Where a run stands: steps done, seconds spent on them, and the figures of each batch since `logged` seconds."""

    step: int = 0
    seconds: float = 0.0
    logged: float = 0.0
    figures: dict[str, list[float]] = field(default_factory=dict)


def save(
    stage: Stage[Any],
    optimisers: Sequence[torch.optim.Optimizer],
    standing: Standing,
    world: World,
    folder: Path,
) -> None:
    """Write the checkpoint in `folder`; every process calls this. Raises UserError if the disk is full."""
    tensors = {"module": stage.module.state_dict(), "optimiser": _state_of(stage.module, optimisers)}
    mine = {"position": stage.position(), "random": _random_state(), "figures": standing.figures}
    rest = {
        "step": standing.step,
        "seconds": standing.seconds,
        "logged": standing.logged,
        "ranks": gathered(_plain(mine)),
    }
    kind = WHOLE if world.size == 1 else SPREAD
    partial = folder / f"checkpoint.partial{kind}"
    with full_disk_is_told(folder, _size(tensors)):
        try:
            if world.size == 1:
                with partial.open("wb") as file:
                    _write({**tensors, **rest}, file)
            else:
                _write_spread(tensors, rest, partial, world)
        except BaseException:
            _remove(partial)
            raise
    if world.is_first:
        _put_in_place(partial, folder / f"checkpoint{kind}")
    meet()


def resume(
    stage: Stage[Any], optimisers: Sequence[torch.optim.Optimizer], world: World, folder: Path
) -> Standing:
    """Take up the checkpoint in `folder`, or the one before if it is damaged; without any a run begins.

    Raises UserError where there are checkpoints and all are damaged, or are of another model.
    """
    damaged: list[str] = []
    for path in _checkpoints(folder):
        try:
            saved = _read(path, dict(stage.module.named_parameters()))
        except Exception as error:
            damaged.append(f"{path} is damaged ({str(error).splitlines()[0] if str(error) else repr(error)})")
            continue
        if damaged and world.is_first:
            print(f"{'; '.join(damaged)}: going on from {path.name}, step {saved['step']}")
        return _restore(saved, stage, optimisers, world, path)
    if damaged:
        raise UserError(f"{'; '.join(damaged)}; delete it to begin the stage again")
    return Standing()


def weights(folder: Path) -> dict[str, Tensor]:
    """The trained module's weights in the last checkpoint of `folder`, whole, on the CPU."""
    for path in _checkpoints(folder):
        return _read(path, {})["module"]
    raise UserError(f"{folder} has no checkpoint; train the stage first")


@contextmanager
def full_disk_is_told(folder: Path, needed: int | None = None) -> Iterator[None]:
    """Turn "no space left" into a UserError that says how many bytes are `needed`, where that is known."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free = shutil.disk_usage(folder).free
        want = "" if needed is None else f"a checkpoint needs {needed / 1e6:,.1f} MB, "
        raise UserError(
            f"{folder}: the disk is full ({want}{free / 1e6:,.1f} MB are free); "
            "make room, and the same command goes on from the last checkpoint"
        ) from None


def write_aside(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Write a file beside `path` and move it there: `path` is always the old one or the new one, whole."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


# --------------------------------------------------------------------------- files


def _checkpoints(folder: Path) -> list[Path]:
    """What there is to go on from, the best first."""
    names = [f"checkpoint{age}{kind}" for kind in (WHOLE, SPREAD) for age in ("", ".previous")]
    return [path for path in (folder / name for name in names) if path.exists()]


def _write(state: Mapping[str, Any], file: BinaryIO) -> None:
    torch.save(state, file)
    file.flush()
    os.fsync(file.fileno())


def _write_spread(tensors: Tensors, rest: Mapping[str, Any], partial: Path, world: World) -> None:
    from thinktalk.parallel import dcp

    if world.is_first:
        _remove(partial)
    meet()
    dcp.save(tensors, partial)
    if world.is_first:
        write_aside(partial / "rest.pt", lambda file: torch.save(rest, file))


def _put_in_place(partial: Path, path: Path) -> None:
    """Killed between any two of these lines, a whole checkpoint is there."""
    previous = path.with_name(f"checkpoint.previous{path.suffix}")
    if path.exists():
        _remove(previous)
        os.replace(path, previous)
    os.replace(partial, path)
    other = SPREAD if path.suffix == WHOLE else WHOLE
    _remove(path.with_suffix(other))
    _remove(previous.with_suffix(other))
    descriptor = os.open(path.parent, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _read(path: Path, parameters: Mapping[str, Tensor]) -> dict[str, Any]:
    if path.suffix == SPREAD:
        from thinktalk.parallel import dcp

        return {**dcp.load(path, parameters), **torch.load(path / "rest.pt", weights_only=True)}
    if (broken := zipfile.ZipFile(path).testzip()) is not None:  # torch.load does not look at checksums
        raise ValueError(f"{broken} has another checksum")
    return torch.load(path, map_location="cpu", weights_only=True)


# --------------------------------------------------------------------------- state


def _state_of(module: nn.Module, optimisers: Sequence[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """Every tensor that an optimiser keeps of a parameter: "layers.0.weight/exp_avg"."""
    return {
        f"{name}/{kind}": tensor
        for name, parameter in module.named_parameters()
        for optimiser in optimisers
        if parameter in optimiser.state
        for kind, tensor in optimiser.state[parameter].items()
    }


def _restore(
    saved: dict[str, Any],
    stage: Stage[Any],
    optimisers: Sequence[torch.optim.Optimizer],
    world: World,
    path: Path,
) -> Standing:
    module, place = stage.module, _placing(world)
    if "ranks" not in saved:
        raise UserError(
            f"{path} is of an earlier thinktalk; end that run with it, or delete it to begin again"
        )
    try:
        now = module.state_dict()
        known = {name: place(t, now[name]) if name in now else t for name, t in saved["module"].items()}
        module.load_state_dict(known)
    except RuntimeError as error:
        raise UserError(
            f"{path} is of another model ({' '.join(str(error).split())}); train this one in another folder"
        ) from None
    parameters = dict(module.named_parameters())
    owner = {p: optimiser for optimiser in optimisers for g in optimiser.param_groups for p in g["params"]}
    for key, tensor in saved["optimiser"].items():
        name, kind = key.split("/")
        parameter = parameters[name]
        if parameter in owner:  # else it is frozen now
            kept = tensor if kind == "step" else place(tensor, parameter).to(parameter.device)
            owner[parameter].state[parameter][kind] = kept
    ranks = saved["ranks"]
    mine = ranks[world.rank % len(ranks)]
    if len(ranks) != world.size and mine["position"] and world.is_first:
        print(f"{path} is of {len(ranks)} processes, not {world.size}: the data go on from about there")
    stage.seek(mine["position"])
    torch.set_rng_state(mine["random"]["cpu"])
    if "cuda" in mine["random"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(mine["random"]["cuda"])
    return Standing(saved["step"], saved["seconds"], saved["logged"], mine["figures"])


def _placing(world: World) -> Callable[[Tensor, Tensor], Tensor]:
    if world.size == 1:
        return lambda whole, like: whole
    from thinktalk.parallel import dcp

    return dcp.spread


def _random_state() -> dict[str, Tensor]:
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """The same, after a look at whether it can be read again: a checkpoint of anything but plain values cannot."""
    stored = io.BytesIO()
    torch.save(state, stored)
    stored.seek(0)
    return torch.load(stored, weights_only=True)


def _size(tensors: Tensors) -> int:
    return sum(t.numel() * t.element_size() for some in tensors.values() for t in some.values())
