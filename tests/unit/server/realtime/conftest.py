"""A model that answers what a test tells it to, and a client of a session without a socket."""

import asyncio
import base64
from typing import Any

import numpy as np
import pytest
import torch
from openai._models import construct_type
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from thinktalk.contracts import Done, Heard, SpeechChunk, Text, TextDelta, Timings, Usage
from thinktalk.server.realtime import listening, output
from thinktalk.server.realtime.session import Session
from thinktalk.server.settings import Settings

TYPED = TypeAdapter(RealtimeServerEvent)
WINDOW = 8  # seconds that a listener hears at once


def done(text: str = "", reason: str = "stop", tool_calls=(), frames: int = 0) -> Done:
    usage = Usage(prompt_tokens=20, text_tokens=5, speech_frames=frames)
    return Done(text, reason, usage, Timings(0.1, 0.2, 0.5, frames * 0.08), tool_calls=tool_calls)


def chunk(frame: int = 0, level: float = 0.3) -> SpeechChunk:
    return SpeechChunk(np.full(1920, level, np.float32), 24_000, frame)


def spoken(text: str, frames: int) -> list:
    """A reply: its words first, then its sound."""
    words = [TextDelta(word) for word in text.split(" ")]
    words[1:] = [TextDelta(" " + word.text) for word in words[1:]]
    return [*words, *(chunk(i) for i in range(frames)), done(text, frames=frames)]


class FakeStream:
    def __init__(self, script, gate):
        self._script, self._gate = list(script), gate
        self._stopped = asyncio.Event()

    @property
    def cancelled(self):
        return self._stopped.is_set()

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        if self._script and isinstance(self._script[0], str):  # a gate
            waits = [asyncio.ensure_future(event.wait()) for event in (self._gate, self._stopped)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
            self._script.pop(0)
        if self.cancelled or not self._script:
            raise StopAsyncIteration
        event = self._script.pop(0)
        if isinstance(event, Exception):
            raise event
        return event

    def cancel(self):
        self._stopped.set()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        self.cancel()


class FakeListener:
    def __init__(self, omni):
        self._omni, self._samples = omni, 0
        self.so_far = None

    async def feed(self, samples, rate):
        assert rate == 16_000
        await asyncio.sleep(0)
        self._samples += len(samples)
        windows = self._samples // (WINDOW * rate)
        if windows:
            self.so_far = Heard(torch.zeros(windows * WINDOW * 13, 4))

    async def heard(self):
        await asyncio.sleep(0)
        return Heard(torch.full((self._samples * 13 // 16_000, 4), float(self._samples)))


class FakeMemory:
    pass


class FakeOmni:
    """`script`: the events of the next reply; "gate" among them waits for `gate` to be set."""

    speaks = True
    voices = ("heart", "ethan")

    def __init__(self):
        self.script = spoken("It is five.", 10)
        self.transcript = ["What is ", "two plus three?"]
        self.gate = asyncio.Event()
        self.asked: list[tuple[list, dict[str, Any]]] = []
        self.transcribed: list[list] = []
        self.read_ahead: list[list] = []
        self.streams: list[FakeStream] = []
        self.memories: list[FakeMemory] = []

    def astream(self, messages, **options):
        content = messages[-1].content
        if (
            not isinstance(content, str)
            and isinstance(content[-1], Text)
            and "Transcribe" in content[-1].text
        ):
            self.transcribed.append(messages)
            script = self.transcript
            if not isinstance(script, Exception):
                text = "".join(script)
                return FakeStream([*map(TextDelta, script), done(text)], self.gate)
            return FakeStream([script], self.gate)
        self.asked.append((list(messages), options))
        self.streams.append(FakeStream(self.script, self.gate))
        return self.streams[-1]

    def alisten(self):
        return FakeListener(self)

    def memory(self):
        self.memories.append(FakeMemory())
        return self.memories[-1]

    async def aread(self, messages, memory, *, tools=None):
        assert memory in self.memories
        self.read_ahead.append(list(messages))


class FakeActivity:
    """What is loud is speech."""

    def __init__(self):
        self._waiting = np.zeros(0, np.float32)

    def feed(self, samples):
        sound = np.concatenate((self._waiting, samples))
        whole = len(sound) // 512 * 512
        self._waiting = sound[whole:]
        loud = np.abs(sound[:whole].reshape(-1, 512)).mean(axis=1) > 0.01
        return loud.astype(np.float32)


class Clock:
    """Stands still, unless told otherwise."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


class Client:
    """Sends events to a session, and keeps what it is sent; each event is what openai-python takes it to be."""

    def __init__(self, omni=None, settings=None, **options):
        self.omni = omni or FakeOmni()
        self.clock = output.monotonic
        self.events: list[dict[str, Any]] = []
        self.session = Session(self.omni, settings or Settings(), self._receive)
        self.session.begin(options or None)

    def _receive(self, event):
        sent = event.model_dump(mode="json")
        typed = TYPED.validate_python(sent)
        assert construct_type(type_=RealtimeServerEvent, value=sent).type == typed.type == sent["type"]
        self.events.append(sent)

    async def send(self, type: str, **fields):
        await self.session.receive({"type": type, **fields})

    async def update(self, **session):
        await self.send("session.update", session={"type": "realtime", **session})

    async def listen_by_hand(self):
        await self.update(audio={"input": {"turn_detection": None}})

    async def append(self, seconds: float, level: float = 0.3, piece: float = 0.1):
        """Sound of one loudness, as a microphone sends it."""
        samples = level * np.sin(np.arange(round(seconds * 24_000)) * 0.1)
        step = round(piece * 24_000)
        for start in range(0, len(samples), step):
            sound = (samples[start : start + step] * 32767).astype("<i2").tobytes()
            await self.send("input_audio_buffer.append", audio=base64.b64encode(sound).decode())

    async def turn(self, seconds: float = 1.0, silence: float = 0.8):
        await self.append(seconds)
        await self.append(silence, level=0)

    async def settle(self, turns: int = 300):
        """Let everything happen that can."""
        for _ in range(turns):
            await asyncio.sleep(0)

    async def until(self, type: str) -> dict[str, Any]:
        """The first event of that type that has not been seen by `until` yet."""
        for _ in range(3000):
            for event in self.events:
                if event["type"] == type and not event.get("seen"):
                    event["seen"] = True
                    return event
            await asyncio.sleep(0)
        raise AssertionError(f"no {type} came; but {self.types}")

    def of(self, type: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == type]

    @property
    def types(self) -> list[str]:
        """In order; what repeats itself once."""
        types = [event["type"] for event in self.events]
        return [type for i, type in enumerate(types) if i == 0 or types[i - 1] != type]

    def forget(self):
        self.events.clear()


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def _simple_world(monkeypatch):
    monkeypatch.setattr(listening, "VoiceActivity", FakeActivity)
    monkeypatch.setattr(output, "monotonic", Clock())
