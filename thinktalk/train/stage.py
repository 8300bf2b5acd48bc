"""What the loop asks of a stage, and what a stage asks of its data."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn


class Clip(Protocol):
    """A recording with what is said in it."""

    @property
    def wave(self) -> np.ndarray: ...
    @property
    def text(self) -> str: ...


class Clips(Protocol):
    """A corpus of recordings."""

    def __len__(self) -> int: ...
    def __getitem__(self, i: int) -> Clip: ...


Module = TypeVar("Module", bound=nn.Module)


class Stage(ABC, Generic[Module]):
    """One stage of training.

    All that it learns lives in `module` (parameters and buffers). A stage whose batches follow from the
    generator it is given needs `name`, `module` and `loss` alone. One that walks through its data says in
    `position` where it stands. Both go into every checkpoint, so that a run resumes exactly.
    """

    name: str
    module: Module

    @abstractmethod
    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """The loss of one batch, a mean over it, and figures to log beside it.

        `rng` depends on the seed, the step, and which part of the step's global batch this is. A figure named
        "tokens" or "examples", how many the batch had, makes the display show how many a second.
        """

    @property
    def device(self) -> torch.device:
        """Where the module is, and batches belong."""
        return next(self.module.parameters()).device

    def split(self, rank: int, world: int) -> None:
        """Draw part `rank` of `world` of all data from now on; `rng` differs by rank without it."""

    def position(self) -> dict[str, Any]:
        """Where the stage stands in its data: plain values and tensors."""
        return {}

    def seek(self, position: dict[str, Any]) -> None:
        """Go on from `position`: the next batch is the one that would have followed."""

    def batch_ids(self) -> list[str]:
        """The examples of the last batch, for the message when its loss is not a number."""
        return []

    def sample(self, folder: Path, step: int) -> None:
        """Write to `folder` what a person can hear or see of the stage after `step` steps: a wav, a spectrogram.

        Called without gradients and with the module in eval mode.
        """

    def data_hash(self) -> str | None:
        """What tells this data from any other, if anything does."""
        return None
