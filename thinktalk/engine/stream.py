"""The events of a reply, for a loop or for an event loop, until they end or are cancelled."""

import asyncio
from contextlib import suppress
from threading import Lock
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch

from thinktalk.contracts import Done, Event, Reply, SpeechChunk
from thinktalk.engine.progress import Progress
from thinktalk.engine.scheduler import Scheduler, Session, Steps
from thinktalk.engine.wishes import Wish, alone
from thinktalk.rates import SPEAKING_RATE


class ReplyStream:
    """An iterator of events; the last is `Done`. The request is driven alone, by whoever asks for the events.

    `cancel`, from any thread, frees all that the request holds, at once or after the step that is under way;
    the next and last event is then a `Done` that says "cancelled". Leaving a `with` block cancels.
    """

    def __init__(self, steps: Steps, progress: Progress):
        self._events: Steps | None = steps
        self._progress = progress
        self._answer: Any = None  # what came of the request's last wish
        self._working = Lock()
        self.cancelled = False
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
        if self.cancelled:  # perhaps since the step began
            self.cancel()
        return event

    def cancel(self) -> None:
        self.cancelled = True
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

    def hand_over(self) -> tuple[Steps, Progress]:
        """The request itself, to be driven by somebody else; the stream is as if cancelled."""
        with self._working:
            steps, self._events = self._events, None
        if steps is None:
            raise ValueError("the stream has ended already")
        return steps, self._progress

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    def _step(self) -> Event | None:
        if self.ended:
            return None
        if self.cancelled or self._events is None:
            self.ended = True
            return self._progress.done("cancelled")
        self._progress.begin()
        try:
            with torch.inference_mode():
                event, self._answer = self._events.send(self._answer), None
                if isinstance(event, Wish):
                    event, self._answer = None, alone(event)
        except BaseException:
            self.ended = True
            self._free()
            raise
        if isinstance(event, Done):
            self.ended = True
            self._free()
        return event

    def _free(self) -> None:
        events, self._events, self._answer = self._events, None, None
        if events is not None:
            events.close()


class AsyncReplyStream:
    """The same for an event loop, together with all others of a `Scheduler`. Leave it by `async with`.

    It is some events ahead of its reader, and pauses where the reader is slow.
    """

    def __init__(self, stream: ReplyStream, scheduler: Scheduler):
        self._stream = stream  # driven by itself no more, once there is a session
        self._scheduler = scheduler
        self._session: Session | None = None
        self._arrived = asyncio.Event()
        self.ended = False  # Done was given, or an error raised

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if self._session is None and not self.ended:
            if self._stream.cancelled and (event := self._stream.step()) is not None:
                self.ended = True
                return event
            self._session = self._join()
        while self._session is not None and not self.ended:
            self._arrived.clear()
            try:
                if (event := self._session.take()) is not None:
                    self.ended = isinstance(event, Done)
                    return event
            except BaseException:
                self.ended = True
                raise
            try:
                await self._arrived.wait()
            except asyncio.CancelledError:
                self.cancel()
                raise
        raise StopAsyncIteration

    def cancel(self) -> None:
        """As `ReplyStream.cancel`."""
        self._stream.cancel()
        if self._session is not None:
            self._session.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    def _join(self) -> Session:
        loop, arrived = asyncio.get_running_loop(), self._arrived

        def wake_reader() -> None:
            with suppress(RuntimeError):  # the loop was closed: nobody reads any more
                loop.call_soon_threadsafe(arrived.set)

        session = Session(*self._stream.hand_over(), wake_reader, self._scheduler.wake)
        self._scheduler.join(session)
        return session
