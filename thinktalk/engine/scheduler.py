"""Many requests at once: what they want is collected and done in batches, the most urgent first.

A turn of the one thread: requests go on that have work of their own to do; then the Thinker takes a step for all
that read or write, then the Talker, MTP and Code2Wav for all that speak. So requests join and leave between any
two steps, and those that go along cost little more than one.
"""

import atexit
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor, Future
from threading import Condition, Thread
from typing import Any

import torch

from thinktalk.contracts import Done, Event
from thinktalk.engine.errands import Errands
from thinktalk.engine.progress import Progress
from thinktalk.engine.stages.think import READ_AT_ONCE
from thinktalk.engine.wishes import Beside, Encode, Listen, Read, Speak, Think, Wish, together

AHEAD = 32  # events that wait for their reader before its request pauses
IN_HAND = 0.3  # seconds of speech with which a voice can wait
NEXT = 0.04  # and with which it can wait for those that have not begun

Steps = Generator[Event | Wish | None, Any, None]


class Session:
    """A request as its reader and the scheduler see it. All but `take` and `cancel` is the scheduler's."""

    def __init__(
        self, steps: Steps, progress: Progress, arrived: Callable[[], None], wake: Callable[[], None]
    ):
        self.steps = steps
        self.progress = progress
        self.wish: Wish | None = None  # None: it wants to go on
        self.beside: Future | None = None  # work of its own that is under way
        self.events: deque[Event] = deque()
        self.error: BaseException | None = None
        self.over = self.cancelled = False
        self._arrived, self._wake = arrived, wake

    def take(self) -> Event | None:
        """The next event, or None where there is none yet. Raises what the request raised, once."""
        if self.cancelled:
            return self.progress.done("cancelled")
        if not self.events:
            if self.error is not None:
                raise self.error
            return None
        if len(self.events) == AHEAD:
            self._wake()
        return self.events.popleft()

    def cancel(self) -> None:
        """Free all that it holds, at once or after the step that is under way."""
        self.cancelled = True
        self._wake()

    @property
    def ready(self) -> bool:
        """It can be gone on with: nothing is under way, and its reader is not behind."""
        return (self.beside is None or self.beside.done()) and len(self.events) < AHEAD

    @property
    def unheard(self) -> bool:
        """It is to speak, and has not begun to."""
        return self.progress.to_speak and self.progress.first_audio is None

    def in_hand(self, now: float) -> float | None:
        """Seconds of speech that its listener has, and has not heard yet; None before the first."""
        progress = self.progress
        if progress.began is None or progress.first_audio is None:
            return None
        return progress.speech_seconds - (now - progress.began - progress.first_audio)

    def resume(self, answer: Any = None) -> None:
        """Go on, with what came of its wish, until it wants something again."""
        self.wish = None
        try:
            while isinstance(item := self.steps.send(answer), Event):
                answer = None
                self._give(item)
                if isinstance(item, Done):
                    return self.end()
            self.wish = item
        except BaseException as error:
            self.end(error)

    def end(self, error: BaseException | None = None) -> None:
        """Free all that it holds, and leave its reader the events or the error."""
        self.error, self.over, self.beside = error, True, None
        self.steps.close()
        self._arrived()

    def _give(self, event: Event) -> None:
        self.events.append(event)
        self._arrived()


class Scheduler:
    """Drives all sessions that `join`, in one thread that lives as long as there are any.

    `beside` does what needs no turn, such as to decode and encode media.
    """

    def __init__(self, beside: Executor):
        self._errands = Errands(beside)
        self._live: list[Session] = []
        self._changed = Condition()
        self._woken = False
        self._driving = False  # the thread will look again whether somebody is here
        self._thread: Thread | None = None
        atexit.register(_close, weakref.ref(self))  # to be cut off in the midst of a step aborts the process

    def join(self, session: Session) -> None:
        """Begin with it at the next turn."""
        session.progress.begin()
        with self._changed:
            self._live.append(session)
            if not self._driving:
                self._driving = True
                self._thread = Thread(target=self._run, name="omni", daemon=True)
                self._thread.start()
        self.wake()

    def close(self) -> None:
        """Break off all that is under way; when this returns, no step is."""
        with self._changed:
            live, thread = list(self._live), self._thread
        for session in live:
            session.cancel()
        if thread is not None:
            thread.join()

    def wake(self) -> None:
        """Something has changed: an event was taken, a request joined or was cancelled, work was done beside."""
        with self._changed:
            self._woken = True
            self._changed.notify()

    def _run(self) -> None:
        with torch.inference_mode():
            while live := self._gather():
                for session in live:
                    if session.cancelled:
                        session.end()
                ready = [session for session in live if session.ready and not session.over]
                self._turn(ready)
                with self._changed:
                    self._live = [session for session in self._live if not session.over]
                    if self._live and not ready:
                        self._changed.wait_for(lambda: self._woken)

    def _gather(self) -> list[Session]:
        """Whoever is here; with nobody, the thread ends."""
        with self._changed:
            self._woken = False
            self._driving = bool(self._live)
            return list(self._live)

    def _turn(self, ready: Sequence[Session]) -> None:
        begun = time.perf_counter()
        going = urgent(ready, begun)
        spare = min([hand for session in ready if (hand := session.in_hand(begun)) is not None], default=1e9)
        for session in [one for one in going if one.wish is None or isinstance(one.wish, Beside | Encode)]:
            self._go_on(session)
            if time.perf_counter() - begun > spare / 2:  # the others' voices must not run dry
                break
        self._together(
            [
                *few([one for one in going if isinstance(one.wish, Read | Listen)]),
                *(one for one in going if isinstance(one.wish, Think)),
            ]
        )
        self._together([one for one in going if isinstance(one.wish, Speak)])

    def _go_on(self, session: Session) -> None:
        """Work of its own: the request goes on by itself, or what it wants done beside is begun or ended."""
        if session.beside is None and isinstance(session.wish, Beside | Encode):
            session.beside = self._errands.submit(session.wish)
            session.beside.add_done_callback(lambda _: self.wake())
            return
        future, session.beside = session.beside, None
        if future is not None and (error := future.exception()) is not None:
            return session.end(error)
        session.resume(None if future is None else future.result())

    def _together(self, sessions: Sequence[Session]) -> None:
        wishes = [wish for one in sessions if isinstance(wish := one.wish, Read | Listen | Think | Speak)]
        if not wishes:
            return
        try:
            answers = together(wishes)
        except BaseException as error:
            for session in sessions:
                session.end(error)
            return
        for session, answer in zip(sessions, answers, strict=True):
            session.resume(answer)


def urgent(sessions: Sequence[Session], now: float) -> Sequence[Session]:
    """Those that cannot wait. A voice with enough in hand can, while there is one that has not.

    Where nothing is heard yet of some that are to speak, only a voice that is about to run dry does not wait for them.
    """
    hands = [(one, one.in_hand(now)) for one in sessions]
    enough = NEXT if any(one.unheard for one in sessions) else IN_HAND
    pressed = [one for one, hand in hands if hand is None or hand < enough]
    return pressed or sessions


def few(reading: Sequence[Session]) -> list[Session]:
    """As many as may read at once, in order: what they read holds up the rest."""
    chosen, positions = [], 0
    for session in reading:
        match session.wish:
            case Read(chunk):
                positions += len(chunk.inputs.ids)
            case Listen(part):
                positions += part.seen.shape[1]
        if chosen and positions > READ_AT_ONCE:
            break
        chosen.append(session)
    return chosen


def _close(scheduler: weakref.ref[Scheduler]) -> None:
    if (living := scheduler()) is not None:
        living.close()
