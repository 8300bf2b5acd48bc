"""Keys and values of a request's past positions."""

from torch import Tensor

SMALLEST = 64  # positions in the first buffer


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

    def clear(self) -> None:
        """Forget all positions and keep the buffers."""
        self._lengths = [0] * len(self._lengths)

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
