"""One recording while it is written down: its utterances to OpenAI's answers."""

import asyncio
import json
import zlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from fastapi import Response, UploadFile
from fastapi.responses import JSONResponse, PlainTextResponse

from thinktalk.contracts import Done, TextDelta, UserError
from thinktalk.engine.transcribing import Segment, Task, gap, joined, srt, vtt
from thinktalk.media.audio import audio_seconds
from thinktalk.media.utterances import Utterance, utterances
from thinktalk.media.voice_activity import VoiceActivity
from thinktalk.server.errors import ApiError
from thinktalk.server.shared import Server
from thinktalk.server.streaming import sse

SUBRIP, WEBVTT = "application/x-subrip", "text/vtt"
MIMES = ("application/json", "text/plain", SUBRIP, WEBVTT)  # of the whole


class Transcribing:
    """Does `task` with the recording in `file`, once, as `whole` or as `events`."""

    def __init__(self, server: Server, task: Task, file: UploadFile):
        self._server, self._task, self._file = server, task, file.file
        self._seconds = 0.0
        self._read = self._written = 0  # tokens
        self._segments: list[Segment] = []
        self._no_speech: list[float] = []  # of each, the share that is none

    async def whole(self, format: str) -> Response:
        """All of it, in one of OpenAI's formats."""
        async with aclosing(self._deltas()) as deltas:
            async for _ in deltas:
                pass
        match format:
            case "text":
                return PlainTextResponse(joined(self._segments) + "\n")
            case "srt":
                return PlainTextResponse(srt(self._segments), media_type=SUBRIP)
            case "vtt":
                return PlainTextResponse(vtt(self._segments), media_type=WEBVTT)
            case "verbose_json":
                return JSONResponse(self._verbose())
        return JSONResponse({"text": joined(self._segments), "usage": self._usage()})

    async def events(self) -> AsyncGenerator[bytes, None]:
        """OpenAI's server-sent events, the text's pieces as they are written."""
        text = ""
        async with aclosing(self._deltas()) as deltas:
            async for delta in deltas:
                text += delta
                yield _sent({"type": "transcript.text.delta", "delta": delta})
        yield _sent({"type": "transcript.text.done", "text": text, "usage": self._usage()})

    async def _deltas(self) -> AsyncGenerator[str, None]:
        """The text of all utterances as it is written, with what stands between them."""
        before = ""
        async with self._server.admission.place():
            self._seconds = await asyncio.to_thread(self._length)
            found = utterances(self._file, self._server.omni.defaults.longest_utterance)
            while (utterance := await asyncio.to_thread(next, found, None)) is not None:
                between, written = gap(before), ""
                async with self._server.omni.astream(**self._task.asks(utterance)) as events:
                    async for event in self._server.metrics.counted(events):
                        match event:
                            case TextDelta() if delta := event.text if written else event.text.lstrip():
                                yield delta if written else between + delta
                                written += delta
                            case Done():
                                self._read += event.usage.prompt_tokens
                                self._written += event.usage.text_tokens
                if written:
                    self._keep(utterance, written.strip())
                    before = written

    def _keep(self, utterance: Utterance, text: str) -> None:
        self._segments.append(Segment(utterance.start, utterance.end, text))
        self._no_speech.append(1 - float(VoiceActivity().feed(utterance.samples).mean()))

    def _length(self) -> float:
        """The seconds of the recording, which is read to its end before anything is answered."""
        most = self._server.settings.max_audio_seconds
        try:
            seconds = audio_seconds(self._file, most)
        except UserError as error:
            raise ApiError(400, str(error), "file") from None
        if seconds > most:
            raise ApiError(
                413,
                f"a recording may have {most / 60:g} minutes here, and this has more; send it in parts",
                "file",
            )
        return seconds

    def _usage(self) -> dict[str, Any]:
        read, written = self._read, self._written
        return {
            "type": "tokens",
            "input_tokens": read,
            "output_tokens": written,
            "total_tokens": read + written,
        }

    def _verbose(self) -> dict[str, Any]:
        task = self._task
        return {
            "task": "translate" if task.translate else "transcribe",
            "language": "english" if task.translate else (task.language or "unknown").lower(),
            "duration": round(self._seconds, 3),
            "text": joined(self._segments),
            "segments": [self._told(id) for id in range(len(self._segments))],
            "usage": {"type": "duration", "seconds": round(self._seconds, 3)},
        }

    def _told(self, id: int) -> dict[str, Any]:
        segment = self._segments[id]
        said = segment.text.encode()
        return {
            "id": id,
            "seek": round(100 * segment.start),  # in frames of 10 ms, as whisper has it
            "start": round(segment.start, 3),
            "end": round(segment.end, 3),
            "text": segment.text,
            "tokens": self._server.omni.processor.tokenizer.encode(segment.text),
            "temperature": self._task.temperature,
            "avg_logprob": None,  # not kept
            "compression_ratio": len(said) / len(zlib.compress(said)),
            "no_speech_prob": round(self._no_speech[id], 3),
        }


def _sent(event: Mapping[str, Any]) -> bytes:
    return sse(json.dumps(event))
