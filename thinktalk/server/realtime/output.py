"""The items of a response, event by event."""

import json
from collections.abc import Callable
from time import monotonic

import numpy as np

from thinktalk.contracts import Text, ToolCall
from thinktalk.media.tempo import Tempo
from thinktalk.rates import SPEAKING_RATE
from thinktalk.server.realtime import server_events as events
from thinktalk.server.realtime.alignment import SpokenText
from thinktalk.server.realtime.configuration import Format
from thinktalk.server.realtime.conversation import Conversation, Entry
from thinktalk.server.realtime.items import FunctionCall, Message, OutputAudio, OutputText, Status
from thinktalk.server.realtime.sound import OutputSound
from thinktalk.server.realtime.wire import new_id

Send = Callable[[events.ServerEvent], None]


class OutputItem:
    """An item that begins now. It enters `conversation`, unless that is None.

    Raises ProtocolError where the conversation is full.
    """

    def __init__(
        self,
        item: Message | FunctionCall,
        response_id: str,
        index: int,
        conversation: Conversation | None,
        send: Send,
    ):
        self.entry = Entry(item)
        self.place = {"response_id": response_id, "output_index": index, "item_id": item.id}
        self._of_response = {"response_id": response_id, "output_index": index}
        self._conversation, self._send = conversation, send
        previous = conversation.insert(self.entry) if conversation is not None else None
        send(events.OutputItemAdded(**self._of_response, item=item))
        if conversation is not None:
            send(events.ItemAdded(previous_item_id=previous, item=item))

    def finish(self, item: Message | FunctionCall) -> None:
        """The item as it stays."""
        self.entry.item = item
        self._send(events.OutputItemDone(**self._of_response, item=item))
        if self._conversation is not None:
            previous = self._conversation.before(self.entry)
            self._send(events.ItemDone(previous_item_id=previous, item=item))


class SpokenMessage:
    """What the model says: text, or speech with its text."""

    def __init__(
        self,
        response_id: str,
        index: int,
        conversation: Conversation | None,
        send: Send,
        form: Format | None,
        speed: float,
    ):
        self._send = send
        self._tempo = Tempo(SPEAKING_RATE, speed)
        self._sound = OutputSound(form) if form is not None else None
        item = Message(id=new_id("item"), status="in_progress", role="assistant", content=[])
        self._item = OutputItem(item, response_id, index, conversation, send)
        self._place = self._item.place
        self.entry = self._item.entry
        self.spoken = SpokenText()
        self.first_sound: float | None = None  # when it was sent, by the monotonic clock
        if self._sound is not None:
            self.entry.spoken = self.spoken
        send(events.ContentPartAdded(**self._place, part=events.ContentPart.of(self._part())))

    def write(self, text: str) -> None:
        """More text."""
        self.spoken.text += text
        kind = events.TextDelta if self._sound is None else events.TranscriptDelta
        self._send(kind(**self._place, delta=text))

    def speak(self, samples: np.ndarray) -> None:
        """More speech, float32 [n] at 24 kHz."""
        self._play(self._tempo.feed(samples))

    def finish(self, status: Status) -> Message:
        """Close all that is open; the item as it stays."""
        self.spoken.finished = status == "completed"
        part = self._part()
        if self._sound is None:
            self._send(events.TextDone(**self._place, text=self.spoken.text))
        else:
            if self.spoken.finished:
                self._play(self._tempo.finish(), last=True)
            self._send(events.AudioDone(**self._place))
            self._send(events.TranscriptDone(**self._place, transcript=self.spoken.text))
        self._send(events.ContentPartDone(**self._place, part=events.ContentPart.of(part)))
        item = Message(id=self.entry.id, status=status, role="assistant", content=[part])
        self.entry.parts = [Text(self.spoken.text)] if self.spoken.text else []
        self._item.finish(item)
        return item

    @property
    def played(self) -> float:
        """The most that can have been played by now, in ms."""
        return 1000 * (monotonic() - self.first_sound) if self.first_sound is not None else 0.0

    def _play(self, samples: np.ndarray, last: bool = False) -> None:
        if self._sound is None:
            return
        self.spoken.say(samples)
        if sound := self._sound.encode(samples, last):
            if self.first_sound is None:
                self.first_sound = monotonic()
            self._send(events.AudioDelta(**self._place, delta=sound))

    def _part(self) -> OutputText | OutputAudio:
        if self._sound is None:
            return OutputText(text=self.spoken.text)
        return OutputAudio(transcript=self.spoken.text)


def call_function(
    call: ToolCall, response_id: str, index: int, conversation: Conversation | None, send: Send
) -> FunctionCall:
    """A function that the model wants called, from beginning to end: the model gives it at once."""
    arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
    begun = FunctionCall(
        id=new_id("item"), status="in_progress", call_id=new_id("call"), name=call.name, arguments=""
    )
    output = OutputItem(begun, response_id, index, conversation, send)
    whole = begun.model_copy(update={"status": "completed", "arguments": arguments})
    place = {**output.place, "call_id": begun.call_id}
    send(events.ArgumentsDelta(**place, delta=arguments))
    send(events.ArgumentsDone(**place, name=call.name, arguments=arguments))
    output.finish(whole)
    return whole
