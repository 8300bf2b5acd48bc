"""Spoken replies that a later turn may refer to by their id, until they expire."""

import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from thinktalk.server.errors import ApiError

MOST = 10_000  # kept at once; the oldest make room


@dataclass(frozen=True)
class Kept:
    id: str
    transcript: str
    expires_at: float  # seconds since 1970


class SpokenReplies:
    """What the model said. Only its words are kept: they are all that it reads of its own turns."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.time):
        self._seconds, self._now = seconds, now
        self._kept: OrderedDict[str, Kept] = OrderedDict()  # the oldest first, which expires first

    @staticmethod
    def new_id() -> str:
        """An id for a reply that begins."""
        return f"audio_{uuid.uuid4().hex}"

    def keep(self, id: str, transcript: str) -> Kept:
        """Remember a reply that was spoken to its end."""
        while self._kept and (len(self._kept) >= MOST or self._oldest().expires_at <= self._now()):
            self._kept.popitem(last=False)
        self._kept[id] = kept = Kept(id, transcript, self._now() + self._seconds)
        return kept

    def transcript(self, id: str) -> str:
        """What was said. Raises ApiError 404 where that is not known, or no more."""
        kept = self._kept.get(id)
        if kept is None or kept.expires_at <= self._now():
            raise ApiError(
                404, f"there is no spoken reply {id!r}, or it has expired; send its text as content"
            )
        return kept.transcript

    def _oldest(self) -> Kept:
        return next(iter(self._kept.values()))
