"""What the model keeps of a conversation from turn to turn, and reads ahead of it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from thinktalk.contracts import Heard, Message
from thinktalk.engine.omni_engine import Omni


class Recollection:
    """The caches of one conversation. Who reads or writes them holds `lock`: one at a time."""

    def __init__(self, omni: Omni):
        self._omni = omni
        self.memory = omni.memory()
        self.lock = asyncio.Lock()

    async def read_ahead(
        self, said: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None, so_far: Heard
    ) -> None:
        """Read a conversation and what has been heard of its next turn, while that is still being said."""
        async with self.lock:
            await self._omni.aread([*said, Message("user", [so_far])], self.memory, tools=tools)
