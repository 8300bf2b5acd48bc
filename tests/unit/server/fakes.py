"""An engine that replies by the book, clients of its server, and things to send."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import numpy as np
import soundfile
from fastapi import FastAPI
from PIL import Image

from thinktalk.contracts import Done, Event, SpeechChunk, TextDelta, Timings, ToolCall, Usage
from thinktalk.engine.defaults import Defaults
from thinktalk.models.qwen3_omni.chat import Processor
from thinktalk.rates import FRAME_SAMPLES, HEARING_RATE, SPEAKING_RATE

NANO = Path(__file__).parents[3] / "thinktalk/checkpoints/nano"


@dataclass
class FakeStream:
    """Events as an `AsyncReplyStream` gives them; waits at each while `going` is not set."""

    omni: "FakeOmni"
    speech: bool

    async def __aenter__(self) -> AsyncIterator[Event]:
        self.omni.open += 1
        return self.events()

    async def __aexit__(self, *_: object) -> None:
        self.omni.open -= 1

    async def events(self) -> AsyncIterator[Event]:
        omni = self.omni
        for frame, word in enumerate(omni.words):
            await asyncio.sleep(omni.pause)
            if omni.going is not None:
                await omni.going.wait()
            if frame == omni.fails_at:
                raise omni.failure
            yield TextDelta(word)
            if self.speech:
                yield SpeechChunk(np.full(FRAME_SAMPLES, 0.25, np.float32), SPEAKING_RATE, frame)
        frames = len(omni.words) if self.speech else 0
        timings = Timings(0.25, 0.5 if self.speech else None, 1.0, frames * 0.08)
        usage = Usage(7, len(omni.words), frames, cached_tokens=3)
        yield Done("".join(omni.words), omni.finish, usage, timings, omni.thinking, omni.calls)  # type: ignore[arg-type]


@dataclass
class FakeOmni:
    """Replies with `words`, a frame of speech after each, and remembers what it was asked."""

    words: list[str] = field(default_factory=lambda: ["Hello", " there."])
    finish: str = "stop"
    thinking: str = ""
    calls: tuple[ToolCall, ...] = ()
    fails_at: int | None = None
    failure: Exception = field(default_factory=lambda: RuntimeError("a secret of the house"))
    going: asyncio.Event | None = None
    asked: list[tuple[Any, dict[str, Any]]] = field(default_factory=list)
    pause: float = 0  # seconds before each word
    open: int = 0  # streams
    voices: list[str] = field(default_factory=lambda: ["anna", "bert"])
    defaults: Defaults = field(default_factory=Defaults)

    @property
    def speaks(self) -> bool:
        return bool(self.voices)

    def memory(self) -> Any:
        return SimpleNamespace(close=lambda: None)

    @property
    def processor(self) -> Processor:
        return Processor.load(NANO)

    def astream(self, messages: Any, *, speech: bool | None = None, **options: Any) -> FakeStream:
        self.asked.append((messages, {"speech": speech, **options}))
        return FakeStream(self, speech is not False)

    def asay(self, text: str, **options: Any) -> FakeStream:
        self.asked.append((text, options))
        return FakeStream(self, True)


def in_loop(app: FastAPI) -> httpx2.AsyncClient:
    """A client within the running event loop, for requests side by side."""
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://testserver")


def error_of(response: httpx2.Response, status: int) -> dict[str, Any]:
    """The error that a response tells, after a look at its shape."""
    assert response.status_code == status, response.text
    (body,) = response.json().values()
    assert response.json().keys() == {"error"}
    assert body.keys() == {"message", "type", "param", "code"}
    assert body["message"] and "\n" not in body["message"]
    return body


def as_url(data: bytes, kind: str = "application/octet-stream") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def wav(seconds: float = 0.5, rate: int = HEARING_RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.full(int(seconds * rate), 0.25, np.float32), rate, format="WAV")
    return file.getvalue()


def png(width: int = 64, height: int = 64) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "PNG")
    return file.getvalue()
