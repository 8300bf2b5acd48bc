"""Work for many requests, split between the threads that torch may use. Each request's part is computed by one."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch


def parts(sizes: Sequence[int], least: int) -> list[slice]:
    """Neighbours that are to be done together: as many parts as threads, alike in size, of `least` or more each."""
    wanted = max(1, min(torch.get_num_threads(), sum(sizes) // least))
    found, first, reached = [], 0, 0
    for last, size in enumerate(sizes, start=1):
        reached += size
        if reached * wanted >= sum(sizes) * (len(found) + 1) or last == len(sizes):
            found.append(slice(first, last))
            first = last
    return found


def at_once(works: Sequence[Callable[[], None]]) -> None:
    """Do all of them; the kernels let other threads go on."""
    others = [_workers().submit(work) for work in works[1:]]
    try:
        works[0]()
    finally:
        errors = [other.exception() for other in others]
    for error in errors:
        if error is not None:
            raise error


@cache
def _workers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, torch.get_num_threads() - 1), thread_name_prefix="omni-kernels")
