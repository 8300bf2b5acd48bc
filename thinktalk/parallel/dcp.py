"""Tensors that are spread over processes, to a folder and back (torch.distributed.checkpoint).

Any number of processes reads what any number wrote. Heavy to import.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint import state_dict_loader, state_dict_saver
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

Tensors = Mapping[str, Mapping[str, Tensor]]  # part of the state -> name -> tensor


def save(tensors: Tensors, folder: Path) -> None:
    """Write `tensors` to `folder`, each process what it holds. Raises OSError on all if the disk fails one."""
    flat = {f"{part}/{name}": tensor for part, some in tensors.items() for name, tensor in some.items()}
    try:
        state_dict_saver.save(flat, checkpoint_id=folder, no_dist=not dist.is_initialized())
    except CheckpointException as failed:
        causes = [error for error, _ in failed.failures.values()]
        raise next((error for error in causes if isinstance(error, OSError)), failed) from failed


def load(folder: Path, parameters: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Read what `save` wrote: what is of a parameter, and shaped like it, comes spread as the parameter is.

    Names are those of parameters, with "/" and what it is of it behind ("layers.0.weight/exp_avg").
    """
    stored = FileSystemReader(folder).read_metadata().state_dict_metadata
    flat: dict[str, Tensor] = {}
    for key, entry in stored.items():
        assert isinstance(entry, TensorStorageMetadata)
        like = parameters.get(key.split("/")[1])
        if like is not None and like.shape == entry.size:
            flat[key] = torch.empty_like(like, dtype=entry.properties.dtype, requires_grad=False)
        else:
            flat[key] = torch.empty(entry.size, dtype=entry.properties.dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # one process alone is as good as many
        state_dict_loader.load(flat, checkpoint_id=folder, no_dist=not dist.is_initialized())
    tensors: dict[str, dict[str, Tensor]] = {}
    for key, tensor in flat.items():
        part, name = key.split("/", 1)
        tensors.setdefault(part, {})[name] = tensor
    return tensors
