"""Keys and values of past positions: of one request, and of many requests in one batch."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from thinktalk.contracts import Cache
from thinktalk.nn.attention import attend

SMALLEST = 64  # positions in the first buffer


class RequestCache(Cache, Protocol):
    """A `contracts.Cache` of one request."""

    def truncate(self, length: int) -> None:
        """Forget all positions from `length` on, and keep the buffers."""
        ...


class KVCache:
    """A `contracts.Cache` of b rows whose buffers double as they fill: n positions cost O(n) copies in all.

    `capacity` is how many positions fit before the first growth.
    """

    def __init__(self, layers: int, capacity: int = SMALLEST):
        self._capacity = capacity
        self._buffers: list[tuple[Tensor, Tensor] | None] = [None] * layers
        self._lengths = [0] * layers

    @property
    def length(self) -> int:
        """Positions that all layers hold."""
        return self._lengths[-1]

    def attend(
        self, layer: int, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """See `contracts.Cache`."""
        keys, values = self.extend(layer, keys, values)
        return attend(queries, keys, values, mask)

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append keys and values [b, heads, n, head_dim] of a layer, and return all of it as views."""
        start = self._lengths[layer]
        end = start + keys.shape[2]
        held = self._buffers[layer]
        if held is None or held[0].shape[2] < end:
            held = self._buffers[layer] = self._grown(held, keys, values, end)
        for buffer, new in zip(held, (keys, values), strict=True):
            buffer[:, :, start:end] = new
        self._lengths[layer] = end
        return held[0][:, :, :end], held[1][:, :, :end]

    def truncate(self, length: int) -> None:
        """Forget all positions from `length` on, and keep the buffers."""
        self._lengths = [min(length, held) for held in self._lengths]

    def clear(self) -> None:
        """Forget all positions and keep the buffers."""
        self.truncate(0)

    def _grown(
        self, held: tuple[Tensor, Tensor] | None, keys: Tensor, values: Tensor, needed: int
    ) -> tuple[Tensor, Tensor]:
        capacity = max(self._capacity, 2 * held[0].shape[2] if held else 0, needed)
        keys, values = (new.new_empty(*new.shape[:2], capacity, new.shape[3]) for new in (keys, values))
        if held is not None:
            filled = held[0].shape[2]
            for bigger, smaller in zip((keys, values), held, strict=True):
                bigger[:, :, :filled] = smaller
        return keys, values


class Together:
    """A `contracts.Cache` of one row in which many requests lie end to end, `counts` positions of each.

    Each looks at its own past alone, and by the very operation by which it would if it were by itself: what a
    request gets does not depend on the others. Positions after those of the last request are nobody's.
    """

    def __init__(self, caches: Sequence[RequestCache], counts: Sequence[int]):
        self.caches = caches
        self.counts = counts

    @property
    def length(self) -> int:
        """There is no length that is true of all."""
        raise TypeError("requests that lie end to end have a length each")

    def attend(
        self, layer: int, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """As in `contracts.Cache`, on [1, heads, sum of counts, d]; there is no mask but each request's own."""
        counts = [*self.counts, rest] if (rest := queries.shape[2] - sum(self.counts)) else self.counts
        parts = [each.split(counts, dim=2) for each in (queries, keys, values)]
        attended = [
            cache.attend(layer, *own) for cache, *own in zip(self.caches, *parts, strict=False)
        ]  # strict=False: nobody's positions have no cache
        if rest:
            attended.append(torch.zeros_like(parts[0][-1]))
        return attended[0] if len(attended) == 1 else torch.cat(attended, dim=2)
