"""Systems that reply to the same prompt from the same weights, each in a process of its own, taking turns."""

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

import numpy as np

from thinktalk.bench.memory import Peak
from thinktalk.bench.peer import Transformers
from thinktalk.bench.prompts import heard, question
from thinktalk.bench.subject import Plan, Subject
from thinktalk.contracts import UserError
from thinktalk.engine.sampler import GREEDY

OURS, THEIRS = "thinktalk", "transformers"
PATIENCE = 1800  # seconds for one answer


@dataclass(frozen=True)
class Replied:
    """A whole spoken reply: seconds to its first sound and to its end, and what it was."""

    first_audio: float
    total: float
    text: str
    speech: np.ndarray


Replying = Callable[[], Replied]


def load(system: str, subject: Subject, plan: Plan) -> Replying:
    """A system with its weights loaded, in this process."""
    if system == THEIRS:
        theirs = Transformers(subject)
        return lambda: _whole(lambda: theirs.reply(question(), plan.words, plan.seconds))
    omni = subject.load()

    def reply() -> Replied:
        options: dict[str, Any] = {"max_tokens": plan.words, "max_speech_seconds": plan.seconds}
        began = time.perf_counter()
        said = omni.reply(heard(), text_sampling=GREEDY, speech_sampling=GREEDY, **options)
        total = time.perf_counter() - began
        return Replied(said.done.timings.first_audio or total, total, said.text, said.speech)

    return reply


def _whole(reply: Callable[[], tuple[str, np.ndarray]]) -> Replied:
    """Of a system that does not stream, the first sound comes with the last."""
    began = time.perf_counter()
    text, speech = reply()
    total = time.perf_counter() - began
    return Replied(total, total, text, speech)


class System:
    """A system in a process of its own. Raises UserError where it cannot be had."""

    def __init__(self, system: str, subject: Subject, plan: Plan):
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, system, subject, plan), daemon=True)
        self.began = time.perf_counter()
        self._process.start()
        theirs.close()
        self._received()
        self.ready = time.perf_counter() - self.began  # seconds from nothing to loaded
        self.peak: int | None = None  # bytes of any reply but the first, beyond what it took before

    def reply(self) -> Replied:
        self._connection.send("reply")
        replied, self.peak = self._received()
        return replied

    def close(self) -> None:
        self._connection.close()
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.kill()

    def _received(self) -> Any:
        if not self._connection.poll(PATIENCE):
            raise UserError(f"a system that is compared has not answered for {PATIENCE} s")
        try:
            answer = self._connection.recv()
        except EOFError:
            raise UserError(
                "a system that is compared has ended by itself; is there enough memory?"
            ) from None
        if isinstance(answer, Exception):
            self.close()
            raise answer
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _serve(connection: Connection, system: str, subject: Subject, plan: Plan) -> None:
    """The process of a `System`: says that it is ready, and replies whenever it is asked to."""
    try:
        reply = load(system, subject, plan)
        connection.send("ready")
        peak = None
        while connection.recv():
            connection.send((reply(), peak and peak.above()))
            peak = peak or Peak(subject.on)  # the first reply makes what a process makes once
    except EOFError:
        return  # nobody asks any more
    except UserError as error:
        connection.send(error)
