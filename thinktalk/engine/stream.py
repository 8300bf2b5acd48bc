"""The events of a reply, for a loop or for an event loop, until they end or are cancelled."""

import asyncio
from collections.abc import Generator
from concurrent.futures import Executor
from threading import Lock
from types import TracebackType
from typing import Self

import numpy as np
import torch

from thinktalk.contracts import Done, Event, Reply, SpeechChunk
from thinktalk.engine.progress import Progress
from thinktalk.rates import SPEAKING_RATE


class ReplyStream:
    """An iterator of events; the last is `Done`.

    `cancel`, from any thread, frees all that the request holds, at once or after the step that is under way;
    the next and last event is then a `Done` that says "cancelled". Leaving a `with` block cancels.
    """

    def __init__(self, events: Generator[Event | None, None, None], progress: Progress):
        self._events: Generator[Event | None, None, None] | None = events
        self._progress = progress
        self._working = Lock()
        self._cancelled = False
        self.ended = False  # Done was given, or an error raised

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        while not self.ended:
            if (event := self.step()) is not None:
                return event
        raise StopIteration

    def step(self) -> Event | None:
        """Work a little: the event that came of it, or None. After `Done`, None for ever."""
        with self._working:
            event = self._step()
        if self._cancelled:  # perhaps since the step began
            self.cancel()
        return event

    def cancel(self) -> None:
        self._cancelled = True
        if self._working.acquire(blocking=False):
            try:
                self._free()
            finally:
                self._working.release()

    def whole(self) -> Reply:
        """The rest of the events as one."""
        chunks, done = [], None
        with self:
            for event in self:
                if isinstance(event, SpeechChunk):
                    chunks.append(event.samples)
                elif isinstance(event, Done):
                    done = event
        if done is None:
            raise ValueError("the stream has ended already")
        speech = np.concatenate(chunks) if chunks else np.zeros(0, np.float32)
        return Reply(done.text, speech, SPEAKING_RATE, done)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    def _step(self) -> Event | None:
        if self.ended:
            return None
        if self._cancelled or self._events is None:
            self.ended = True
            return self._progress.done("cancelled")
        self._progress.begin()
        try:
            with torch.inference_mode():
                event = next(self._events)
        except BaseException:
            self.ended = True
            self._free()
            raise
        if isinstance(event, Done):
            self.ended = True
            self._free()
        return event

    def _free(self) -> None:
        events, self._events = self._events, None
        if events is not None:
            events.close()


class AsyncReplyStream:
    """The same for an event loop, while a thread of `executor` works. Leave it by `async with`."""

    def __init__(self, stream: ReplyStream, executor: Executor):
        self._stream = stream
        self._executor = executor

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        loop = asyncio.get_running_loop()
        while not self._stream.ended:
            try:
                event = await loop.run_in_executor(self._executor, self._stream.step)
            except asyncio.CancelledError:
                self._stream.cancel()
                raise
            if event is not None:
                return event
        raise StopAsyncIteration

    def cancel(self) -> None:
        self._stream.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.cancel()
