"""A model to the released layout: shards, index, config.json and generation_config.json, all or nothing."""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from thinktalk.checkpoint.layout import INDEX, SINGLE, shard_name
from thinktalk.models.registry import family_of_model

if TYPE_CHECKING:  # families load lazily
    from thinktalk.models.qwen3_omni.omni import Qwen3Omni

SHARD_BYTES = 5_000_000_000


def save(
    model: Qwen3Omni,
    folder: Path | str,
    generation: Mapping[str, Any] | None = None,
    shard_bytes: float = SHARD_BYTES,
    dtype: torch.dtype | None = None,
) -> None:
    """Write `model` to `folder` in the released layout; what else is there (tokenizer, codec) stays.

    generation: entries of generation_config.json beside or instead of the released ones.
    shard_bytes: the most a file holds, unless a single tensor is larger.
    dtype: of the stored weights; None is as they are.
    The files are written beside `folder` and moved into it whole; a failure leaves what was there before.
    """
    own = family_of_model(model)
    config = dataclasses.replace(model.config, enable_audio_output=model.speaks)
    views = own.stored(model)
    shards = plan(views, shard_bytes, dtype)
    with staged(Path(folder)) as stage:
        for number, names in enumerate(shards, start=1):
            tensors = {name: views[name].detach().to("cpu", dtype).contiguous() for name in names}
            save_file(tensors, stage / shard_name(number, len(shards)), metadata={"format": "pt"})
        if len(shards) > 1:
            write_json(stage / INDEX, _index(views, shards, dtype))
        write_json(stage / "generation_config.json", {**own.generation(config), **(generation or {})})
        config.save(stage)


def plan(views: Mapping[str, Tensor], shard_bytes: float, dtype: torch.dtype | None) -> list[list[str]]:
    """The names of each shard, in order, none larger than `shard_bytes` if it can be helped."""
    shards: list[list[str]] = [[]]
    size = 0
    for name, view in views.items():
        bytes_ = view.numel() * (dtype or view.dtype).itemsize
        if shards[-1] and size + bytes_ > shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append(name)
        size += bytes_
    return shards


def _index(views: Mapping[str, Tensor], shards: list[list[str]], dtype: torch.dtype | None) -> dict[str, Any]:
    total = sum(view.numel() * (dtype or view.dtype).itemsize for view in views.values())
    files = {
        name: shard_name(number, len(shards))
        for number, names in enumerate(shards, start=1)
        for name in names
    }
    return {"metadata": {"total_size": total}, "weight_map": files}


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write `values` as JSON that people can read."""
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder`, whose files move into it if the block ends well and vanish if not."""
    folder = folder.resolve()
    if folder.is_file():
        raise FileExistsError(f"{folder} is a file, and should be a folder")
    stage = folder.parent / f".{folder.name}.{secrets.token_hex(4)}.partial"
    stage.mkdir(parents=True)
    try:
        yield stage
        _publish(stage, folder)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _publish(stage: Path, folder: Path) -> None:
    new = sorted(path.name for path in stage.iterdir())
    if not folder.exists():
        os.rename(stage, folder)  # all at once
        return
    for name in new:
        os.replace(stage / name, folder / name)
    for old in [*folder.glob("model-*-of-*.safetensors"), folder / SINGLE, folder / INDEX]:
        if old.name not in new:  # of an earlier save with other shards
            old.unlink(missing_ok=True)
