"""Which files hold a checkpoint's weights, and what each says it holds. Reads headers, never weights."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from thinktalk.contracts import UserError

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclass(frozen=True)
class Entry:
    """A stored tensor: where it is and what shape it has."""

    file: Path
    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def numel(self) -> int:
        """How many numbers it holds."""
        return torch.Size(self.shape).numel()

    @property
    def bytes(self) -> int:
        """Its size in the file."""
        return self.numel * self.dtype.itemsize


def shard_name(number: int, of: int) -> str:
    """The file name of shard `number`, from 1: model-00001-of-00015.safetensors."""
    return SINGLE if of == 1 else f"model-{number:05d}-of-{of:05d}.safetensors"


def entries(folder: Path) -> dict[str, Entry]:
    """Every tensor stored in `folder` by name. Raises UserError where files are absent or damaged."""
    found: dict[str, Entry] = {}
    for file in weight_files(folder):
        try:
            with safe_open(file, framework="pt") as shard:
                for name in shard.keys():  # noqa: SIM118 (not a mapping)
                    part = shard.get_slice(name)
                    found[name] = Entry(file, tuple(part.get_shape()), _dtype(name, file, part.get_dtype()))
        except FileNotFoundError:
            raise UserError(f"{folder} is incomplete: {file.name} is missing; download it again") from None
        except (SafetensorError, OSError) as error:
            raise UserError(f"{file} is damaged ({error}); download it again") from None
    return found


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint, as its index names them."""
    if (folder / SINGLE).exists():
        return [folder / SINGLE]
    path = folder / INDEX
    try:
        names = set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
    except FileNotFoundError:
        raise UserError(f"{folder} holds no weights: neither {SINGLE} nor {INDEX}") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({error!r}); download it again") from None
    if not names or not all(isinstance(name, str) and _is_weight_file(name) for name in names):
        raise UserError(f"{path} is damaged: its weight_map does not name files of this folder")
    return [folder / name for name in sorted(names)]


def _is_weight_file(name: str) -> bool:
    return name.endswith(".safetensors") and name == Path(name).name


def _dtype(tensor: str, file: Path, name: str) -> torch.dtype:
    if name not in DTYPES:
        raise UserError(f"{file}: {tensor} is stored as {name}; use a checkpoint that is not quantised")
    return DTYPES[name]
