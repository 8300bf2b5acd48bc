"""Several sources as one endless stream: sample k of it depends on the seed and on k, and on nothing before.

Which source a place belongs to is not drawn but apportioned, so that every source has its share of any window of
the stream, up to a place or two. Within a source an epoch is a permutation: nothing comes again before all has come.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from hashlib import blake2b
from math import lcm
from typing import Generic, TypeVar

from thinktalk.contracts import UserError

T = TypeVar("T")

ROUNDS = (
    8  # of the Feistel network; four would do for many numbers (Luby and Rackoff, 1988), not for a handful
)


class Mixture(Generic[T], Iterator[T]):
    """An endless stream out of `sources`, of which each has its part of `weights` (of their sizes, by default).

    Of `world` processes, that of `rank` gets one of every `world` samples. Raises UserError where a source is empty
    or a weight is not above 0.
    """

    def __init__(
        self,
        sources: Sequence[Sequence[T]],
        weights: Sequence[float] | None = None,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.sources, self.seed, self.rank, self.world = sources, seed, rank, world
        weights = [len(source) for source in sources] if weights is None else weights
        if not sources or any(len(source) == 0 for source in sources):
            raise UserError("a mixture takes sources that have examples in them")
        if len(weights) != len(sources) or not all(weight > 0 for weight in weights):
            raise UserError("a mixture takes a weight above 0 for each source; leave a source out instead")
        self._shares = _whole_numbers(weights)
        self._position = 0

    def place(self, k: int) -> tuple[int, int]:
        """Which source, and which of its examples, sample k of the whole stream is."""
        source, turn = apportion(k, self._shares)
        size = len(self.sources[source])
        epoch, i = divmod(turn, size)
        return source, permuted(i, size, (self.seed, source, epoch))

    def __getitem__(self, k: int) -> T:
        source, index = self.place(k)
        return self.sources[source][index]

    def at(self, position: int) -> T:
        """The sample that this process draws after `position` others."""
        # Ranks take turns in a mixed order: else one might meet a source always, and another never.
        turn = permuted(self.rank, self.world, (self.seed, -1, position))
        return self[position * self.world + turn]

    def __next__(self) -> T:
        self._position += 1  # also past a sample that cannot be read
        return self.at(self._position - 1)

    def position(self) -> int:
        """How many samples this process has drawn."""
        return self._position

    def seek(self, position: int) -> None:
        """Go on as after `position` samples."""
        self._position = position


def apportion(k: int, weights: Sequence[int]) -> tuple[int, int]:
    """Which source place k belongs to, and how many places it had before k.

    Sources are halved again and again, like a tree. Of k places a half gets its share rounded to the nearest, which
    grows by one or not at all as k does; so a place has one owner, and no source strays from its share by more than a
    place or two however long the stream.
    """
    first = 0
    while len(weights) > 1:
        cut, half, total = _halves(tuple(weights))
        before, after = ((2 * n * half + total) // (2 * total) for n in (k, k + 1))
        if after > before:
            weights, k = weights[:cut], before
        else:
            weights, k, first = weights[cut:], k - before, first + cut
    return first, k


@lru_cache
def _halves(weights: tuple[int, ...]) -> tuple[int, int, int]:
    """Where to cut weights into two parts most alike, the weight before the cut, and the whole."""
    total = sum(weights)
    cut = min(range(1, len(weights)), key=lambda cut: abs(2 * sum(weights[:cut]) - total))
    return cut, sum(weights[:cut]), total


def _whole_numbers(weights: Sequence[float]) -> list[int]:
    """The same proportions, exactly: 0.7 counts as seven tenths."""
    fractions = [Fraction(str(weight)) for weight in weights]
    common = lcm(*(fraction.denominator for fraction in fractions))
    return [int(fraction * common) for fraction in fractions]


def permuted(i: int, size: int, key: tuple[int, ...]) -> int:
    """Where a permutation of range(size), one for each key, puts i; nothing is stored.

    A Feistel network permutes the numbers of an even count of bits; what falls beyond `size` is sent on until it
    falls within.
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    keys = _round_keys(key)
    while True:
        left, right = i >> half, i & ((1 << half) - 1)
        for round_key in keys:
            left, right = right, left ^ (_scramble(right ^ round_key) >> (64 - half))
        i = left << half | right
        if i < size:
            return i


@lru_cache(maxsize=1024)
def _round_keys(key: tuple[int, ...]) -> tuple[int, ...]:
    digest = blake2b(repr(key).encode(), digest_size=8 * ROUNDS).digest()
    return tuple(int.from_bytes(digest[8 * r : 8 * r + 8], "little") for r in range(ROUNDS))


def _scramble(x: int) -> int:
    """64 bits to 64 others, each of which depends on all (the finisher of MurmurHash3)."""
    for shift, factor in ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53)):
        x ^= x >> shift
        x = x * factor & (2**64 - 1)
    return x ^ x >> 33
