"""How many replies are made at once, how many wait for their turn, and that more are turned away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from thinktalk.server.errors import ApiError

RETRY_AFTER = 2  # seconds


class Admission:
    """`most` at a time; `waiting` others wait, first come first served."""

    def __init__(self, most: int, waiting: int):
        self._places = asyncio.Semaphore(most)
        self._most_waiting = waiting
        self.running = 0
        self.waiting = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place, once one is free. Raises ApiError 429 where too many wait for one."""
        await self._enter()
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._places.release()

    async def _enter(self) -> None:
        if self._places.locked() and self.waiting >= self._most_waiting:
            raise ApiError(
                429,
                "the server is at work on as much as it can; ask again in a moment",
                headers={"Retry-After": str(RETRY_AFTER)},
            )
        self.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.waiting -= 1
