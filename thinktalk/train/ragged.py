"""Sequences of many lengths in one file: worked out once, and kept."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor


def kept(cache: Path, count: int, make: Callable[[], Iterable[Tensor]]) -> list[Tensor]:
    """`count` tensors [..., length] out of `cache`, or made now if it does not hold as many."""
    if cache.exists():
        held = load_file(cache)
        if len(held["lengths"]) == count:
            return list(held["values"].split(held["lengths"].tolist(), dim=-1))
    made = list(make())
    lengths = torch.tensor([one.shape[-1] for one in made])
    partial = cache.with_suffix(".partial")
    save_file({"values": torch.cat(made, dim=-1), "lengths": lengths}, partial)
    os.replace(partial, cache)
    return made
