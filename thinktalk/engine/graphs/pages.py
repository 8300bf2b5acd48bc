"""Keys and values of all requests in one buffer a layer, page by page: a step of many is one computation on it.

A slot of full length for every request would take more memory than a card has; pages take what is used.
"""

from collections.abc import Callable
from threading import RLock

import torch
import torch.nn.functional as F
from torch import Tensor

from thinktalk.nn.attention import attend

PAGE = 64  # positions
FIRST = 16  # pages that there are at first


class Pages:
    """For each layer keys and values [kv heads, pages, positions of a page, head_dim], as `like` in device and type.

    When all pages are taken, the buffers double; `moved` is called before they do, so that nobody goes on with
    their old addresses. What happens to them, happens under `lock`.
    """

    def __init__(
        self,
        layers: int,
        kv_heads: int,
        head_dim: int,
        like: Tensor,
        moved: Callable[[], None],
        page: int = PAGE,
    ):
        self.page = page
        self.lock = RLock()
        self._moved = moved
        nothing = like.detach().new_empty(kv_heads, 0, page, head_dim)
        self._layers = [(nothing, nothing)] * layers
        self._free: list[int] = []

    @property
    def layers(self) -> int:
        return len(self._layers)

    @property
    def free(self) -> int:
        """Pages that are nobody's."""
        return len(self._free)

    @property
    def count(self) -> int:
        """Pages in all."""
        return self._layers[0][0].shape[1]

    def take(self) -> int:
        """The number of a page that was nobody's."""
        if not self._free:
            self._grow()
        return self._free.pop()

    def give(self, page: int) -> None:
        """It is nobody's again. Without the lock: Python may forget a cache at any moment."""
        self._free.append(page)

    def put(self, layer: int, pages: Tensor, places: Tensor, keys: Tensor, values: Tensor) -> None:
        """Keep keys and values [kv, n, d] in pages [n], at places [n] within them."""
        for buffer, new in zip(self._layers[layer], (keys, values), strict=True):
            buffer[:, pages, places] = new

    def look(self, layer: int, tables: Tensor) -> tuple[Tensor, Tensor]:
        """What is in pages [b, m], row by row end to end: keys and values [b, kv, positions, d]."""
        keys, values = (buffer[:, tables].flatten(2, 3).transpose(0, 1) for buffer in self._layers[layer])
        return keys, values

    @torch.inference_mode(False)
    def _grow(self) -> None:
        self._moved()
        count = self.count
        grown = max(FIRST, 2 * count)
        for layer, pair in enumerate(self._layers):
            # Zeros, for what is masked counts nought times what is there, and that must be a number.
            bigger = [old.new_zeros(len(old), grown, *old.shape[2:]) for old in pair]
            for new, old in zip(bigger, pair, strict=True):
                new[:, :count] = old
            self._layers[layer] = bigger[0], bigger[1]
        self._free += range(grown - 1, count - 1, -1)


class PagedCache:
    """A `cache.RequestCache`: which pages are a request's. Whatever it needs no more is free again at once."""

    def __init__(self, pages: Pages):
        self.pages = pages
        self.table: list[int] = []
        self._length = 0
        self._there: Tensor | None = None  # the table on the device

    @property
    def length(self) -> int:
        """Positions that all layers hold."""
        return self._length

    def attend(
        self, layer: int, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """See `contracts.Cache`; b is 1."""
        pages, end = self.pages, self._length + keys.shape[2]
        with pages.lock:
            self.hold(end)
            if self._there is None:
                self._there = torch.tensor(self.table, device=keys.device)
            at = torch.arange(self._length, end, device=keys.device)
            pages.put(layer, self._there[at // pages.page], at % pages.page, keys[0], values[0])
            keys, values = pages.look(layer, self._there[None])
        if layer == pages.layers - 1:
            self._length = end
        return attend(queries, keys[:, :, :end], values[:, :, :end], mask)

    def hold(self, length: int) -> None:
        """Take pages for so many positions, and give back those behind them. Under the lock."""
        needed = -(-length // self.pages.page)
        if needed != len(self.table):
            self._there = None
        while len(self.table) < needed:
            self.table.append(self.pages.take())
        while len(self.table) > needed:
            self.pages.give(self.table.pop())

    def advance(self) -> None:
        """Its next position was put where it belongs."""
        self._length += 1

    def truncate(self, length: int) -> None:
        """Forget all positions from `length` on."""
        self._length = min(length, self._length)
        with self.pages.lock:
            self.hold(self._length)

    def __del__(self) -> None:
        while self.table:
            self.pages.give(self.table.pop())


class StepCache:
    """A `contracts.Cache` of b requests that take in one position each: shapes depend on nothing that is in it.

    tables [b, m] are the pages of each, filled up with any, and lengths [b] what it holds.
    """

    def __init__(self, pages: Pages, tables: Tensor, lengths: Tensor):
        self._pages, self._tables = pages, tables
        self._page = tables.gather(1, (lengths // pages.page)[:, None])[:, 0]
        self._place = lengths % pages.page
        seen = torch.arange(tables.shape[1] * pages.page, device=tables.device)
        self._mask = (seen <= lengths[:, None])[:, None, None]

    @property
    def length(self) -> int:
        """There is no length that is true of all."""
        raise TypeError("requests that lie side by side have a length each")

    def attend(
        self, layer: int, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """As in `contracts.Cache`, for n = 1; there is no mask but each request's own."""
        held, heads = self._pages, keys.shape[1]
        keys, values = (each[:, :, 0].transpose(0, 1) for each in (keys, values))
        held.put(layer, self._page, self._place, keys, values)
        keys, values = held.look(layer, self._tables)
        grouped = queries.reshape(len(queries), heads, -1, queries.shape[-1])  # as `attend` does
        return F.scaled_dot_product_attention(grouped, keys, values, self._mask).reshape(queries.shape)
