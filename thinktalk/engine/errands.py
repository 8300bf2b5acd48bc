"""What needs no turn of the scheduler's, done in another thread: sound that waits to be encoded is encoded together.

To encode takes little longer for some than for one, so it comes behind all else that waits: that may be followed by
more to encode.
"""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from threading import Lock
from typing import Any

import torch

from thinktalk.engine.stages.encode import Inputs, encode_together
from thinktalk.engine.wishes import Beside, Encode

MOMENT = 3e-4  # seconds, in which whoever has just been served comes back with what is to be encoded
TOGETHER = 3000  # mel frames: who has little to encode does not wait for who has much


class Errands:
    """Done one at a time by `executor`, what is to be encoded last."""

    def __init__(self, executor: Executor):
        self._executor = executor
        self._encodings: deque[tuple[Encode, Future[Inputs]]] = deque()
        self._others: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._lock = Lock()

    def submit(self, wish: Beside | Encode) -> Future[Any]:
        future: Future[Any] = Future()
        with self._lock:
            if isinstance(wish, Encode):
                self._encodings.append((wish, future))
            else:
                self._others.append((wish.work, future))
        self._executor.submit(self._next)
        return future

    def _next(self) -> None:
        with torch.inference_mode():
            with self._lock:
                other = self._others.popleft() if self._others else None
            if other is not None:
                return _do(*other)
            time.sleep(MOMENT)
            if taken := self._take():
                _encode(taken)

    def _take(self) -> list[tuple[Encode, Future[Inputs]]]:
        """What is to be encoded now."""
        taken: list[tuple[Encode, Future[Inputs]]] = []
        with self._lock:
            frames = 0
            while self._encodings:
                frames += self._encodings[0][0].unread.frames
                if taken and frames > TOGETHER:
                    break
                taken.append(self._encodings.popleft())
        return taken


def _encode(taken: list[tuple[Encode, Future[Inputs]]]) -> None:
    thinker, config = taken[0][0].thinker, taken[0][0].config
    try:
        answers = encode_together(thinker, [wish.unread for wish, _ in taken], config)
    except Exception:  # it is one's own: each finds out for itself
        for wish, future in taken:
            _do(lambda wish=wish: encode_together(thinker, [wish.unread], config)[0], future)
        return
    for (_, future), answer in zip(taken, answers, strict=True):
        future.set_result(answer)


def _do(work: Callable[[], Any], future: Future[Any]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
