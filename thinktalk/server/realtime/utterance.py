"""One turn of the user, heard while it is spoken."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import numpy as np

from thinktalk.contracts import Heard, UserError
from thinktalk.engine.omni_engine import Omni
from thinktalk.rates import HEARING_RATE
from thinktalk.server.realtime.sound import as_int16
from thinktalk.server.realtime.wire import new_id

ReadAhead = Callable[[Heard], Awaitable[None]]  # lets the Thinker read what has been heard so far


class Utterance:
    """Sound goes in as it comes and is heard, and read by the Thinker, at once.

    After the last word only the tail is left. At most `KEPT` seconds of the sound are kept beside what was heard.
    """

    KEPT = 120.0

    def __init__(self, omni: Omni, start_ms: int, read_ahead: ReadAhead):
        self.item_id = new_id("item")
        self.start_ms = start_ms
        self.seconds = 0.0
        self._listener = omni.alisten()
        self._read_ahead = read_ahead
        self._kept: list[np.ndarray] | None = []  # int16 at 16 kHz
        self._waiting: list[np.ndarray] = []
        self._ended = self._busy = False
        self._wake = asyncio.Event()
        self._task = asyncio.create_task(self._hear())

    def feed(self, samples: np.ndarray) -> None:
        """float32 [n] at 16 kHz follow."""
        if len(samples) == 0:
            return
        self.seconds += len(samples) / HEARING_RATE
        self._waiting.append(samples)
        if self._kept is not None:
            self._kept.append(as_int16(samples))
        if self.seconds > self.KEPT:
            self._kept = None
        self._wake.set()

    @property
    def is_behind(self) -> bool:
        """Whether there is sound that has not been heard yet."""
        return bool(self._waiting) or self._busy

    def end(self) -> None:
        """Nothing follows."""
        self._ended = True
        self._wake.set()

    def drop(self) -> None:
        """Forget it all."""
        self._task.cancel()
        self._waiting, self._kept = [], None

    async def heard(self) -> Heard | None:
        """All of it once it has ended; None where that is too short to be heard."""
        with suppress(UserError):
            return await asyncio.shield(self._task)
        return None

    @property
    def sound(self) -> np.ndarray | None:
        """The sound so far, int16 [n] at 16 kHz; None where that was too long to be kept."""
        if self._kept is None:
            return None
        return np.concatenate(self._kept) if self._kept else np.zeros(0, np.int16)

    async def _hear(self) -> Heard:
        read = 0
        while not self._ended or self._waiting:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                samples, self._waiting, self._busy = np.concatenate(self._waiting), [], True
                await self._listener.feed(samples, HEARING_RATE)
                so_far = self._listener.so_far
                if so_far is not None and len(so_far.features) > read and not self._ended:
                    read = len(so_far.features)
                    with suppress(UserError):  # the reply meets it as well, and says so
                        await self._read_ahead(so_far)
            self._busy = False
        return await self._listener.heard()
