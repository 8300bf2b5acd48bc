"""What waits to be sent to one client, whose slowness delays nobody else."""

import asyncio
from collections import deque

from thinktalk.server.realtime.server_events import ServerEvent

MOST_BYTES = 16 * 2**20  # some two minutes of speech


class Outbox:
    """`put` never waits. What does not fit means that the client does not read: `overflowed`, and no more is kept."""

    def __init__(self, most_bytes: int = MOST_BYTES):
        self._waiting: deque[str] = deque()
        self._most, self._bytes = most_bytes, 0
        self._changed = asyncio.Event()
        self.overflowed = asyncio.Event()

    def put(self, event: ServerEvent) -> None:
        """Send an event in its turn."""
        if self.overflowed.is_set():
            return
        written = event.model_dump_json()
        if self._bytes + len(written) > self._most:
            self._waiting.clear()
            self.overflowed.set()
            return
        self._waiting.append(written)
        self._bytes += len(written)
        self._changed.set()

    async def get(self) -> str:
        """The next event as JSON, once there is one."""
        while not self._waiting:
            self._changed.clear()
            await self._changed.wait()
        written = self._waiting.popleft()
        self._bytes -= len(written)
        return written
