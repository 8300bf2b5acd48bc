"""From the items of the wire to what the model is given, and back."""

from collections.abc import Awaitable, Callable, Iterable

import numpy as np

from thinktalk.contracts import Image, Text, ToolCall
from thinktalk.contracts import Message as Told
from thinktalk.rates import HEARING_RATE
from thinktalk.server.realtime.configuration import Format
from thinktalk.server.realtime.conversation import AnyItem, Entry
from thinktalk.server.realtime.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    Message,
    OutputAudio,
    OutputText,
    as_json,
)
from thinktalk.server.realtime.sound import InputSound, as_int16, encode
from thinktalk.server.realtime.utterance import Utterance
from thinktalk.server.realtime.wire import new_id

Hear = Callable[[np.ndarray], Utterance]  # float32 [n] at 16 kHz, that is all
See = Callable[[str], Awaitable[Image]]  # the picture at an address


async def messages(instructions: str, entries: Iterable[Entry]) -> list[Told]:
    """What the model is given. Waits for what is still being heard; what is still being said is left out."""
    told = [Told("system", instructions)] if instructions else []
    for entry in list(entries):
        item, parts = entry.item, await entry.ready()
        match item:
            case Message() if parts:
                told.append(Told(item.role, parts))
            case FunctionCall() if item.status != "in_progress":
                call = ToolCall(item.name, as_json(item.arguments or "{}") or {})
                if told and told[-1].role == "assistant":  # the model said it all in one turn
                    told[-1] = Told("assistant", told[-1].content, (*told[-1].tool_calls, call))
                else:
                    told.append(Told("assistant", "", (call,)))
            case FunctionCallOutput():
                told.append(Told("tool", item.output))
    return told


async def entry_of(item: AnyItem, form: Format, hear: Hear, see: See) -> Entry:
    """A client's item, with an id, and what the model is given of it; its sound is in the format `form`.

    Raises UserError where its media cannot be read.
    """
    size = len(item.model_dump_json())
    item = item.model_copy(update={"id": item.id or new_id("item"), "status": "completed"})
    if isinstance(item, FunctionCall):
        return Entry(item.model_copy(update={"call_id": item.call_id or new_id("call")}), size=size)
    if isinstance(item, FunctionCallOutput):
        return Entry(item, size=size)
    entry = Entry(item, size=size)
    for part in item.content:
        match part:
            case InputText(text=text) | OutputText(text=text) | OutputAudio(transcript=text):
                if text:
                    entry.parts.append(Text(text))
            case InputAudio():
                sound = InputSound(form)
                samples = sound.hear(sound.decode(part.audio or ""))
                samples = np.concatenate((samples, sound.finish()))
                entry.parts.append(hear(samples))
                part.audio = None  # kept once, and by the second
                entry.sound = as_int16(samples)
            case InputImage():
                picture = await see(part.image_url)
                entry.parts.append(picture)
                entry.size += getattr(picture.source, "nbytes", 0)
    return entry


def with_sound(entry: Entry, form: Format) -> AnyItem:
    """The item with the user's sound in it, as far as it is kept."""
    item = entry.item
    if entry.sound is None or not isinstance(item, Message):
        return item
    audio = encode(entry.sound.astype(np.float32) / 32768, HEARING_RATE, form)
    content = [
        part.model_copy(update={"audio": audio}) if isinstance(part, InputAudio) else part
        for part in item.content
    ]
    return item.model_copy(update={"content": content})
