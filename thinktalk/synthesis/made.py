"""A sequence of things that are made when they are asked for."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, overload

T = TypeVar("T")


class Made(Sequence[T], Generic[T]):
    """`many` things; `make` makes the i-th, always the same."""

    def __init__(self, many: int, make: Callable[[int], T]):
        self.many, self.make = many, make

    def __len__(self) -> int:
        return self.many

    @overload
    def __getitem__(self, i: int) -> T: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[T]: ...
    def __getitem__(self, i: int | slice) -> T | Sequence[T]:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(self.many))]
        if not 0 <= i < self.many:
            raise IndexError(i)
        return self.make(i)
