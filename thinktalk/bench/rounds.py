"""Rounds in which everything that is compared takes its turn, so that a busy moment meets all alike."""

import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

Key = TypeVar("Key")
Result = TypeVar("Result")


def interleaved(
    runs: Mapping[Key, Callable[[], Result]], rounds: int, warm: bool = True
) -> dict[Key, list[Result]]:
    """What each run gave in each of `rounds` rounds; every other round goes backwards.

    `warm`: a round before the first does not count.
    """
    results: dict[Key, list[Result]] = {key: [] for key in runs}
    order = list(runs)
    if warm:
        for key in order:
            runs[key]()
    for number in range(rounds):
        for key in order if number % 2 == 0 else reversed(order):
            results[key].append(runs[key]())
    return results


def median(values: Iterable[float | None]) -> float | None:
    """Of those that are there; None of none."""
    there = [value for value in values if value is not None]
    return statistics.median(there) if there else None


def ratio(over: Iterable[float], under: Iterable[float]) -> float | None:
    """The median of the rounds' own ratios."""
    return median(a / b for a, b in zip(over, under, strict=True) if b)
