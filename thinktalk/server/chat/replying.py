"""One chat completion while it is made: the engine's events to OpenAI's whole reply or chunks."""

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np

from thinktalk.contracts import Done, Event, SpeechChunk, TextDelta, ToolCall
from thinktalk.media.encode import AudioEncoder, encode
from thinktalk.rates import SPEAKING_RATE
from thinktalk.server.chat.messages import Reader
from thinktalk.server.chat.options import engine_options, told_json
from thinktalk.server.chat.reply import (
    REASONS,
    Called,
    CalledFunction,
    Chunk,
    Completion,
    Delta,
    Heading,
    Message,
    Speech,
)
from thinktalk.server.chat.request import ChatRequest
from thinktalk.server.shared import Server
from thinktalk.server.spoken import SpokenReplies
from thinktalk.server.streaming import sse


class Replying:
    """Makes the reply to `asked`, once, as `whole` or as `chunks`."""

    def __init__(self, server: Server, asked: ChatRequest):
        self._server, self._asked = server, asked
        self._heading = Heading(server.settings.model)
        self._id = SpokenReplies.new_id()

    async def whole(self) -> Completion:
        """The reply, when all of it has been made."""
        samples, done = [], None
        async with self._events() as events:
            async for event in events:
                if isinstance(event, SpeechChunk):
                    samples.append(event.samples)
                elif isinstance(event, Done):
                    done = event
        assert done is not None
        message = Message(
            content=done.text if done.text or not done.tool_calls else None,
            reasoning_content=done.thinking or None,
            tool_calls=self._called(done.tool_calls) or None,
        )
        if samples:
            kept = self._server.spoken.keep(self._id, done.text)
            data = await asyncio.to_thread(encode, np.concatenate(samples), self._asked.format, SPEAKING_RATE)
            message.audio = Speech(
                id=kept.id, data=_base64(data), transcript=done.text, expires_at=int(kept.expires_at)
            )
        return self._heading.whole(message, done)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Server-sent events, the reply's pieces as they are made; nothing comes before there is a first one."""
        encoder = AudioEncoder(self._asked.format, SPEAKING_RATE) if self._asked.spoken else None
        begun = False
        async with self._events() as events:
            async for event in events:
                if not begun:
                    yield _sent(self._heading.chunk(Delta(role="assistant", content="")))
                    begun = True
                match event:
                    case TextDelta():
                        spoken = Speech(id=self._id, transcript=event.text) if encoder else None
                        yield _sent(self._heading.chunk(Delta(content=event.text, audio=spoken)))
                    case SpeechChunk() if encoder and (data := encoder.feed(event.samples)):
                        yield _sent(self._heading.chunk(Delta(audio=self._speech(data))))
                    case Done():
                        for chunk in self._end(event, encoder):
                            yield _sent(chunk)
        yield sse("[DONE]")

    def _end(self, done: Done, encoder: AudioEncoder | None) -> list[Chunk]:
        heading, chunks = self._heading, []
        if done.thinking:
            chunks.append(heading.chunk(Delta(reasoning_content=done.thinking)))
        if encoder and done.usage.speech_frames:
            kept = self._server.spoken.keep(self._id, done.text)
            speech = self._speech(encoder.finish())
            speech.expires_at = int(kept.expires_at)
            chunks.append(heading.chunk(Delta(audio=speech)))
        if called := self._called(done.tool_calls, indexed=True):
            chunks.append(heading.chunk(Delta(tool_calls=called)))
        chunks.append(heading.chunk(Delta(), REASONS[done.finish_reason]))
        if self._asked.stream_options and self._asked.stream_options.include_usage:
            chunks.append(heading.used(done))
        return chunks

    @asynccontextmanager
    async def _events(self) -> AsyncIterator[AsyncIterator[Event]]:
        """The engine's events, from when there is room for this request."""
        server, asked = self._server, self._asked
        options = engine_options(asked, server.omni.defaults.text, server.omni.voices)
        media = asked.mm_processor_kwargs
        hears_video = media is None or media.use_audio_in_video is not False
        async with server.admission.place():
            messages = await Reader(server.media, server.spoken, hears_video).read(asked.messages)
            async with server.omni.astream(told_json(messages, asked), **options) as events:
                yield server.metrics.counted(events)

    def _speech(self, data: bytes) -> Speech:
        return Speech(id=self._id, data=_base64(data) if data else None)

    def _called(self, calls: Sequence[ToolCall], indexed: bool = False) -> list[Called]:
        if self._asked.parallel_tool_calls is False:
            calls = calls[:1]
        return [
            Called(
                index=at if indexed else None,
                id=f"call_{uuid.uuid4().hex}",
                function=CalledFunction(
                    name=call.name, arguments=json.dumps(call.arguments, ensure_ascii=False)
                ),
            )
            for at, call in enumerate(calls)
        ]


def _sent(chunk: Chunk) -> bytes:
    return sse(chunk.model_dump_json())


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
