"""Any events in any order: the session answers, stays right and stays alive.

`THINKTALK_FUZZ=10000` says how many sequences; the suite runs 300.
"""

import base64
import os
import random
import string
from collections import Counter
from typing import Any

import numpy as np
import pytest

from thinktalk.contracts import ToolCall, UserError

from .conftest import Client, FakeOmni, chunk, done, spoken

pytestmark = pytest.mark.anyio

SEQUENCES = int(os.environ.get("THINKTALK_FUZZ", "300"))
BATCHES = 10
STRANGE: list[Any] = [
    None,
    True,
    -1,
    0,
    1e308,
    2**70,
    "",
    "\x00",
    "é" * 50,
    [],
    {},
    [[]],
    {"type": "message"},
    "auto",
]

Event = dict[str, Any]


class Fuzzer:
    """Makes events: most of them right, some with a field that is not, some nonsense."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.ids = ["item_0", "root", "nowhere"]

    def event(self) -> Any:
        make = self.random.choice(
            [self.append] * 6
            + [self.commit, self.clear, self.update, self.create, self.delete, self.truncate, self.retrieve]
            + [self.respond] * 3
            + [self.cancel, self.stop, self.nonsense]
        )
        event = make()
        if isinstance(event, dict) and self.random.random() < 0.25:
            self.spoil(event)
        return event

    def spoil(self, value: Any) -> None:
        """Put something strange somewhere."""
        while value:
            key = self.random.choice(list(value) if isinstance(value, dict) else range(len(value)))
            if isinstance(value[key], dict | list) and value[key] and self.random.random() < 0.7:
                value = value[key]
                continue
            value[key] = self.random.choice(STRANGE)
            return

    def id(self) -> str:
        return self.random.choice(self.ids)

    def append(self) -> Event:
        seconds, level = self.random.choice([0.0, 0.001, 0.1, 0.6]), self.random.choice([0.0, 0.3])
        sound = level * np.sin(np.arange(int(seconds * 24_000)) * 0.1)
        audio = base64.b64encode((sound * 32767).astype("<i2").tobytes()).decode()
        return {"type": "input_audio_buffer.append", "audio": audio}

    def commit(self) -> Event:
        return {"type": "input_audio_buffer.commit"}

    def clear(self) -> Event:
        return {"type": "input_audio_buffer.clear"}

    def stop(self) -> Event:
        return {"type": "output_audio_buffer.clear"}

    def cancel(self) -> Event:
        return {"type": "response.cancel"}

    def update(self) -> Event:
        choose = self.random.choice
        detection = choose(
            [None, {"type": "server_vad", "silence_duration_ms": 200}, {"type": "semantic_vad"}]
        )
        sound: Event = {
            "input": {"turn_detection": detection, "transcription": choose([None, {"model": "whisper-1"}])},
            "output": {"voice": choose(["heart", "marin"]), "speed": choose([0.25, 1.0, 1.5])},
        }
        if self.random.random() < 0.3:
            sound["input"]["format"] = {"type": choose(["audio/pcm", "audio/pcmu", "audio/pcma"])}
        modalities = choose([["audio"], ["text"], ["audio", "text"]])
        return {
            "type": "session.update",
            "session": {"type": "realtime", "audio": sound, "output_modalities": modalities},
        }

    def create(self) -> Event:
        made = f"item_{self.random.randrange(6)}"
        self.ids.append(made)
        item = self.random.choice(
            [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello."}]},
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "Yes."}],
                },
                {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"},
                {"type": "function_call_output", "call_id": "c", "output": "4"},
            ]
        )
        event: Event = {"type": "conversation.item.create", "item": {**item, "id": made}}
        if self.random.random() < 0.3:
            event["previous_item_id"] = self.id()
        return event

    def delete(self) -> Event:
        return {"type": "conversation.item.delete", "item_id": self.id()}

    def retrieve(self) -> Event:
        return {"type": "conversation.item.retrieve", "item_id": self.id()}

    def truncate(self) -> Event:
        end = self.random.choice([0, 100, 10**9])
        return {
            "type": "conversation.item.truncate",
            "item_id": self.id(),
            "content_index": 0,
            "audio_end_ms": end,
        }

    def respond(self) -> Event:
        options: Event = {}
        if self.random.random() < 0.3:
            options = {"conversation": "none", "input": [{"type": "item_reference", "id": self.id()}]}
        return {"type": "response.create", "response": options}

    def nonsense(self) -> Any:
        text = "".join(self.random.choices(string.printable, k=self.random.randrange(30)))
        return self.random.choice([text, text.encode(), {"type": text}, {text: text}, "[" * 2000])


def check(events: list[Event]) -> None:
    """What holds of all that a session sends."""
    assert not any(event["type"] == "error" and event["error"]["type"] == "server_error" for event in events)
    ids = [event["event_id"] for event in events]
    assert len(set(ids)) == len(ids)
    begun = Counter(event["response"]["id"] for event in events if event["type"] == "response.created")
    ended = Counter(event["response"]["id"] for event in events if event["type"] == "response.done")
    assert begun == ended and set(begun.values()) <= {1}
    over: set[str] = set()
    for event in events:
        assert event.get("response_id") not in over, f"{event['type']} after its response's end"
        if event["type"] == "response.done":
            over.add(event["response"]["id"])
            assert event["response"]["status"] != "in_progress"
    for opening, closing in (
        ("output_item.added", "output_item.done"),
        ("content_part.added", "content_part.done"),
    ):
        opened = [event for event in events if event["type"] == f"response.{opening}"]
        closed = [event for event in events if event["type"] == f"response.{closing}"]
        assert len(opened) == len(closed)


@pytest.mark.parametrize("batch", range(BATCHES))
async def test_any_events_in_any_order(batch):
    for seed in range(batch, SEQUENCES, BATCHES):
        fuzzer = Fuzzer(seed)
        client = Client(FakeOmni())
        for _ in range(fuzzer.random.randrange(4, 24)):
            client.omni.script = fuzzer.random.choice(
                [
                    spoken("It is five.", 3),
                    [chunk(), done("", "length")],
                    [UserError("too long")],
                    [done("", "tool_calls", (ToolCall("f", {}),))],
                    ["gate", *spoken("One two.", 2)],
                ]
            )
            event = fuzzer.event()
            await client.session.receive(event)
            await client.settle(fuzzer.random.choice([0, 3, 60]))
            fuzzer.ids += [item["item"]["id"] for item in client.of("conversation.item.added")[-1:]]
        client.omni.gate.set()
        client.omni.script = spoken("Yes.", 1)
        await client.settle()
        client.session.configuration = Client().session.configuration  # whatever it was made to be
        await client.send("response.cancel")
        await client.send("response.create")
        await client.settle()
        check(client.events)
        assert client.events[-1]["type"] == "response.done", client.types[-5:]
        assert client.events[-1]["response"]["status"] == "completed"
        await client.session.close()
        assert not client.session._tasks
