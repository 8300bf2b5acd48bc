"""`POST /v1/audio/speech`: a given text, spoken as it stands."""

import base64
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from thinktalk.contracts import Done, SpeechChunk
from thinktalk.engine.portions import portions
from thinktalk.media.encode import CODINGS, AudioEncoder
from thinktalk.media.tempo import FASTEST, SLOWEST, Tempo
from thinktalk.rates import FRAME_RATE, SPEAKING_RATE
from thinktalk.server.errors import ApiError
from thinktalk.server.shared import Server, Shared
from thinktalk.server.streaming import SSE, sse, stream
from thinktalk.server.voices import find_voice

router = APIRouter()

MOST_CHARACTERS = 4096
SOUND: dict[int | str, dict[str, Any]] = {
    200: {"content": {how.mime: {} for how in CODINGS.values()} | {SSE: {}}}
}


class SpeechRequest(BaseModel):
    """OpenAI's request."""

    input: Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS)]
    model: str | None = None  # there is one: any name will do
    voice: str | dict[str, Any] | None = None
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: Annotated[float, Field(ge=SLOWEST, le=FASTEST)] = 1.0
    instructions: str | None = None
    stream_format: Literal["audio", "sse"] = "audio"


@router.post("/v1/audio/speech", response_class=Response, responses=SOUND)
async def create_speech(asked: SpeechRequest, request: Request, server: Shared) -> Response:
    """Send the speech while it is made, as a sound or, with `stream_format` "sse", as events with sound in them."""
    if not asked.input.strip():
        raise ApiError(400, "input has no words in it; give some text", "input", "invalid_value")
    reading = Reading(server, asked)
    if asked.stream_format == "sse":
        return await stream(request, reading.events(), SSE)
    return await stream(request, reading.sound(), reading.encoder.mime)


class Reading:
    """One text while it is spoken, portion by portion."""

    def __init__(self, server: Server, asked: SpeechRequest):
        self._server, self._asked = server, asked
        self._voice = find_voice(asked.voice, server.omni.voices)
        self._tempo = Tempo(SPEAKING_RATE, asked.speed)
        self.encoder = AudioEncoder(asked.response_format, SPEAKING_RATE)
        self._tokens = self._frames = 0

    async def sound(self) -> AsyncGenerator[bytes, None]:
        """The bytes of the sound, as soon as there are any."""
        async with aclosing(self._samples()) as pieces:
            async for samples in pieces:
                if data := self.encoder.feed(self._tempo.feed(samples)):
                    yield data
        yield self.encoder.feed(self._tempo.finish()) + self.encoder.finish()

    async def events(self) -> AsyncGenerator[bytes, None]:
        """The same as OpenAI's server-sent events."""
        async with aclosing(self.sound()) as pieces:
            async for data in pieces:
                yield _sent({"type": "speech.audio.delta", "audio": base64.b64encode(data).decode("ascii")})
        usage = {
            "input_tokens": self._tokens,
            "output_tokens": self._frames,
            "total_tokens": self._tokens + self._frames,
        }
        yield _sent({"type": "speech.audio.done", "usage": usage})

    async def _samples(self) -> AsyncGenerator[np.ndarray, None]:
        """float32 [1920] at 24 kHz, one frame after another."""
        server, asked = self._server, self._asked
        how = {"voice": self._voice, "voice_instructions": asked.instructions or None}
        async with server.admission.place():
            for portion in portions(asked.input, server.omni.defaults.speech_frames / FRAME_RATE):
                async with server.omni.asay(portion, **how) as events:
                    async for event in server.metrics.counted(events):
                        if isinstance(event, SpeechChunk):
                            yield event.samples
                        elif isinstance(event, Done):
                            self._tokens += event.usage.text_tokens
                            self._frames += event.usage.speech_frames


def _sent(event: Mapping[str, Any]) -> bytes:
    return sse(json.dumps(event))
