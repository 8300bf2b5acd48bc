"""A released checkpoint to a model, one tensor at a time: no second copy of the weights is ever held."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.overrides import TorchFunctionMode

from thinktalk.checkpoint.layout import Entry, entries
from thinktalk.contracts import UserError
from thinktalk.models.registry import Family, family_of
from thinktalk.nn.packed import Bits, pack

if TYPE_CHECKING:  # families load lazily
    from thinktalk.models.qwen3_omni.omni import Qwen3Omni

NAMED = 10  # how many tensors an error names
MAPPED_BYTES = 16_000_000  # a file is mapped anew after so much, to give its pages back


@dataclass(frozen=True)
class Opened:
    """A checkpoint that fits its config. The model has no weights yet; `held` says where they are."""

    family: Family
    model: Qwen3Omni
    held: dict[str, Entry]


def load(
    folder: Path | str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    speech: bool = True,
    bits: Bits | None = None,
) -> Qwen3Omni:
    """The model of the checkpoint in `folder`, on `device`.

    dtype: of all weights; None is the one most of them are stored in. bits: of the weights in its decoders, which is
    most of them; each is packed as it is read, so that the whole is never held.
    speech: False leaves out the speaking parts. A checkpoint without any is loaded without them.
    Raises UserError where the checkpoint is unknown, incomplete, damaged, or disagrees with its config.json.
    """
    opened = open_checkpoint(Path(folder), speech)
    model = opened.model.to(dtype or usual_dtype(opened.held.values()))
    if bits is not None:
        for decoder in opened.family.decoders(model):
            pack(decoder, bits)
    needed = sum(weight.nbytes for weight in (*model.parameters(), *model.buffers()))
    try:
        model.to_empty(device=device)
    except torch.OutOfMemoryError:
        raise UserError(f"{folder} needs {needed / 1e9:.1f} GB, which {device} does not have free") from None
    fill(opened.family.stored(model), opened.held)
    return model


def open_checkpoint(folder: Path, speech: bool = True) -> Opened:
    """Read config.json and the headers of the weights, and compare them. Raises UserError as `load` does."""
    family = family_of(folder)
    config = family.read_config(folder)
    held = entries(folder)
    speech = speech and config.enable_audio_output and any(name.startswith(family.speaking) for name in held)
    if not speech:
        held = {name: entry for name, entry in held.items() if not name.startswith(family.speaking)}
    try:
        with torch.device("meta"), Unfilled():
            model = family.build(config, speech)
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise UserError(f"no model can be built from {folder / 'config.json'}: {error}") from error
    check(folder, held, family.stored(model))
    return Opened(family, model, held)


class Unfilled(TorchFunctionMode):
    """Skips the initial values of new weights; on the meta device asking for them alone takes seconds."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def check(folder: Path, held: Mapping[str, Entry], wanted: Mapping[str, Tensor]) -> None:
    """Raise one UserError that names all tensors in which a checkpoint and a model differ."""
    both = held.keys() & wanted.keys()
    misshapen = [
        f"{name} is {list(held[name].shape)} and should be {list(wanted[name].shape)}"
        for name in sorted(both)
        if held[name].shape != wanted[name].shape
    ]
    wrong = {
        "missing": sorted(wanted.keys() - both),
        "unexpected": sorted(held.keys() - both),
        "misshapen": misshapen,
    }
    problems = [_listed(problem, names) for problem, names in wrong.items() if names]
    if problems:
        raise UserError(f"the weights in {folder} do not fit its config.json: {'; '.join(problems)}")


def _listed(problem: str, names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{len(names)} {problem} ({', '.join(names[:NAMED])}{more})"


def usual_dtype(held: Iterable[Entry]) -> torch.dtype:
    """The dtype in which most numbers are stored."""
    counts: Counter[torch.dtype] = Counter()
    for entry in held:
        counts[entry.dtype] += entry.numel
    return counts.most_common(1)[0][0]


@torch.no_grad()
def fill(views: Mapping[str, Tensor], held: Mapping[str, Entry]) -> None:
    """Copy every stored tensor into its view."""
    for file, names in _batches(held):
        try:
            with safe_open(file, framework="pt") as shard:
                for name in names:
                    views[name].copy_(shard.get_tensor(name))
        except (SafetensorError, OSError) as error:
            raise UserError(f"{file} is damaged ({error}); download it again") from None


def _batches(held: Mapping[str, Entry]) -> Iterator[tuple[Path, list[str]]]:
    """Names of one file, MAPPED_BYTES of them at a time."""
    batch: list[str] = []
    size, file = 0, None
    for name, entry in held.items():
        if file is not None and (entry.file != file or size >= MAPPED_BYTES):
            yield file, batch
            batch, size = [], 0
        file = entry.file
        batch.append(name)
        size += entry.bytes
    if file is not None:
        yield file, batch
