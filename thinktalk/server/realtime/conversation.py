"""What has been said, in order, as both sides of the wire know it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from thinktalk.contracts import Part, Text
from thinktalk.rates import HEARING_RATE
from thinktalk.server.realtime.alignment import PACE, SpokenText
from thinktalk.server.realtime.faults import ProtocolError
from thinktalk.server.realtime.items import FunctionCall, FunctionCallOutput, Message, OutputAudio
from thinktalk.server.realtime.utterance import Utterance
from thinktalk.server.realtime.wire import new_id

MOST_ITEMS = 4096
MOST_BYTES = 256 * 2**20  # of all that a client created, pictures decoded
KEPT_SECONDS = 120.0  # of the user's sound, for those who want to retrieve it

AnyItem = Message | FunctionCall | FunctionCallOutput


@dataclass
class Entry:
    """An item, and what the model is given of it: the very same parts turn after turn, for its caches."""

    item: AnyItem
    parts: list[Part | Utterance] = field(default_factory=list)
    spoken: SpokenText | None = None  # of a reply that was spoken
    sound: np.ndarray | None = None  # of the user, int16 at 16 kHz
    size: int = 0  # bytes of what the client sent

    @property
    def id(self) -> str:
        return self.item.id or ""

    async def ready(self) -> list[Part]:
        """The parts, once all of them have been heard; what was too short to be heard is left out."""
        known = list(self.parts)
        heard = [await part.heard() if isinstance(part, Utterance) else part for part in known]
        ready = [part for part in heard if part is not None]
        if known == self.parts:  # and not cut meanwhile
            self.parts = list(ready)
        return ready


class Conversation:
    """Entries in order, each with an id of its own."""

    def __init__(self) -> None:
        self.id = new_id("conv")
        self.pace = PACE  # of the last reply that was spoken to its end
        self._entries: list[Entry] = []

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __contains__(self, item_id: object) -> bool:
        return any(entry.id == item_id for entry in self._entries)

    @property
    def last_id(self) -> str | None:
        return self._entries[-1].id if self._entries else None

    def find(self, item_id: str, code: str) -> Entry:
        """The entry of that id. Raises ProtocolError with `code` where there is none."""
        for entry in self._entries:
            if entry.id == item_id:
                return entry
        raise ProtocolError(f"there is no item {item_id!r} in the conversation", code, "item_id")

    def before(self, entry: Entry) -> str | None:
        """The id of the item before that one; None where it is the first, or no longer there."""
        at = self._entries.index(entry) if entry in self._entries else 0
        return self._entries[at - 1].id if at else None

    def insert(self, entry: Entry, previous: str | None = None) -> str | None:
        """Put an entry behind `previous`, "root" for the beginning, None for the end; the id before it.

        Raises ProtocolError where that does not exist, the entry's own id does, or there is too much.
        """
        if entry.id in self:
            raise ProtocolError(
                f"there is an item {entry.id!r} already", "item_create_duplicate_item_id", "item.id"
            )
        if (
            len(self._entries) >= MOST_ITEMS
            or entry.size + sum(known.size for known in self._entries) > MOST_BYTES
        ):
            raise ProtocolError(
                f"the conversation holds {MOST_ITEMS} items and {MOST_BYTES // 2**20} MiB; delete some",
                "conversation_full",
            )
        ids = [known.id for known in self._entries]
        if previous is not None and previous not in ("root", *ids):
            raise ProtocolError(
                f"there is no item {previous!r} to come after",
                "item_create_invalid_previous_item_id",
                "previous_item_id",
            )
        at = len(ids) if previous is None else 0 if previous == "root" else ids.index(previous) + 1
        self._entries.insert(at, entry)
        self._forget_old_sound()
        return ids[at - 1] if at else None

    def delete(self, item_id: str) -> None:
        """Take an item out. Raises ProtocolError where there is none."""
        gone = self.find(item_id, "item_delete_invalid_item_id")
        self._entries = [entry for entry in self._entries if entry is not gone]

    def cut(self, entry: Entry, milliseconds: float) -> float:
        """Forget what a reply said after that moment of its sound; the moment, no later than the sound's end."""
        if entry.spoken is None:
            return 0.0
        milliseconds = min(milliseconds, entry.spoken.milliseconds)
        heard = entry.spoken.until(milliseconds, self.pace)
        entry.parts = [Text(heard)] if heard else []
        if isinstance(entry.item, Message):
            entry.item = entry.item.model_copy(update={"content": [OutputAudio(transcript=heard)]})
        return milliseconds

    def _forget_old_sound(self) -> None:
        kept = 0
        for entry in reversed(self._entries):
            if entry.sound is not None:
                kept += len(entry.sound)
                if kept > KEPT_SECONDS * HEARING_RATE:
                    entry.sound = None
