"""What the loop asks of a stage, and what a stage asks of its data."""

from typing import Protocol

import numpy as np
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


class Stage(Protocol):
    """One stage of training. All of its state lives in `module` (parameters and buffers), so that a
    checkpoint of the module, the optimiser and the step number resumes it exactly."""

    name: str

    @property
    def module(self) -> nn.Module: ...

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """The loss of one batch, drawn with `rng`, which depends on the seed and the step alone."""
        ...
