"""A batch's examples, drawn side by side."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Drawing:
    """Draws examples in `workers` threads. Each has random numbers of its own, so that it is the same whoever draws it."""

    def __init__(self, workers: int = 1):
        self._pool = ThreadPoolExecutor(workers) if workers > 1 else None

    def __call__(
        self, one: Callable[[np.random.Generator], T], count: int, rng: np.random.Generator
    ) -> list[T]:
        """`count` examples, in order, each by calling `one`."""
        each = rng.spawn(count)
        return list(self._pool.map(one, each) if self._pool else map(one, each))
