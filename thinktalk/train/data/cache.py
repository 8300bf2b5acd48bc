"""What is dear to work out, kept: codes, mels and the like by the hash of what they were made of.

A cache is a folder of safetensors files, written one after the other as their tensors come. A run that is killed
keeps those; two runs may fill the same folder.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, overload

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from thinktalk.contracts import UserError

PER_SHARD = 4096  # tensors


class Cached(Sequence[Tensor]):
    """The tensors of `keys`, read from the folder when they are asked for. Raises UserError at a damaged file."""

    def __init__(self, folder: Path, keys: Sequence[str]) -> None:
        self.keys = keys
        self._places: dict[str, Path] = {}
        self._open: dict[Path, Any] = {}
        for path in sorted(folder.glob("*.safetensors")):
            for key in self._shard(path).keys():  # noqa: SIM118
                self._places[key] = path

    @property
    def missing(self) -> list[int]:
        """Indices of keys that the folder does not hold, the first of those that are alike."""
        first = {key: i for i, key in reversed(list(enumerate(self.keys)))}
        return sorted(i for key, i in first.items() if key not in self._places)

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> list[Tensor]: ...
    def __getitem__(self, index: int | slice) -> Tensor | list[Tensor]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        key = self.keys[index]
        return self._shard(self._places[key]).get_tensor(key)

    def _shard(self, path: Path) -> Any:
        if path not in self._open:
            try:
                self._open[path] = safe_open(path, framework="pt")
            except (SafetensorError, OSError) as error:
                raise UserError(f"{path} is damaged ({error}); delete it, and it is made again") from None
        return self._open[path]


def cached(
    folder: Path,
    keys: Sequence[str],
    make: Callable[[Sequence[int]], Iterable[Tensor]],
    per_shard: int = PER_SHARD,
) -> Cached:
    """The tensors of `keys` out of `folder`; of those it does not hold, `make` is asked by their indices, in order.

    A key must say all that the tensor depends on: `content.media_hash` of the recording, and what it is read with.
    """
    held = Cached(folder, keys)
    if not (missing := held.missing):
        return held
    folder.mkdir(parents=True, exist_ok=True)
    shard: dict[str, Tensor] = {}
    for index, tensor in zip(missing, make(missing), strict=True):
        shard[keys[index]] = tensor.contiguous()
        if len(shard) == per_shard:
            _save(folder, shard)
            shard = {}
    if shard:
        _save(folder, shard)
    return Cached(folder, keys)


def _save(folder: Path, shard: dict[str, Tensor]) -> None:
    name = blake2b("\n".join(shard).encode(), digest_size=8).hexdigest()
    partial = folder / f".{name}.{os.getpid()}.part"
    try:
        save_file(shard, partial)
        os.replace(partial, folder / f"{name}.safetensors")
    except (OSError, SafetensorError) as error:
        raise UserError(f"{folder}: cannot be written ({error}); is the disk full?") from None
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()
