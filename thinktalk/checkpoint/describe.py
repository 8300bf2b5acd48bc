"""What is in a checkpoint and what it takes to run it, from config.json and headers alone."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from thinktalk.checkpoint.read import open_checkpoint, usual_dtype
from thinktalk.models.registry import Family


@dataclass(frozen=True)
class PartInfo:
    """A part of a model. `active` parameters are those that one token or frame is multiplied by."""

    name: str
    parameters: int
    active: int
    bytes: int


@dataclass(frozen=True)
class CheckpointInfo:
    """A checkpoint at a glance."""

    architecture: str
    parts: list[PartInfo]
    dtypes: dict[str, int]  # as torch names them -> bytes stored so
    speaks: bool
    voices: list[str]
    cache_bytes: int  # of keys and values for 1000 tokens, in the dtype of most weights

    @property
    def parameters(self) -> int:
        """How many numbers all weights are."""
        return sum(part.parameters for part in self.parts)

    @property
    def bytes(self) -> int:
        """Of all weights, as stored."""
        return sum(part.bytes for part in self.parts)

    def memory(self, tokens: int) -> int:
        """Bytes to hold the weights as stored and the keys and values of a conversation of `tokens`."""
        return self.bytes + self.cache_bytes * tokens // 1000


def describe(folder: Path | str) -> CheckpointInfo:
    """Read headers only. Raises UserError, as `load` does, where the checkpoint could not be loaded."""
    opened = open_checkpoint(Path(folder))
    family, model, held = opened.family, opened.model, opened.held
    dtypes: Counter[str] = Counter()
    for entry in held.values():
        dtypes[str(entry.dtype).removeprefix("torch.")] += entry.bytes
    numbers = family.cached_per_token(model.config, model.speaks)
    return CheckpointInfo(
        architecture=family.architecture,
        parts=parts(family, model.config, family.stored(model), {name: e.bytes for name, e in held.items()}),
        dtypes=dict(dtypes.most_common()),
        speaks=model.speaks,
        voices=family.voices(model.config) if model.speaks else [],
        cache_bytes=1000 * numbers * usual_dtype(held.values()).itemsize,
    )


def parts(
    family: Family, config: Any, views: Mapping[str, Tensor], sizes: Mapping[str, int]
) -> list[PartInfo]:
    """The parts that have any of `views`, by their names on disk; `sizes` are the bytes stored of each."""
    found = []
    for part, prefixes in family.parts.items():
        names = [name for name in views if name.startswith(prefixes)]
        if names:
            active = sum(family.active(config, name) * views[name].numel() for name in names)
            parameters = sum(views[name].numel() for name in names)
            found.append(PartInfo(part, parameters, round(active), sum(sizes[name] for name in names)))
    return found
