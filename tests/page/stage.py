"""A server that plays one part: it speaks the real-time protocol to the page, and says what it is told to.

Here the page meets what a real server seldom does: a long reply to interrupt, a lost connection, a wrong key.
"""

import asyncio
import base64
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

WEB = Path(__file__).parents[2] / "thinktalk" / "server" / "web"
RATE = 24_000
CHUNK = RATE * 80 // 1000
LOUD = 0.02  # root mean square of speech


class Stage:
    """What the server says, what it wants of the page, and all that the page has sent, in order."""

    def __init__(self) -> None:
        self.hears = "What is the capital of France?"
        self.says = "The capital of France is Paris."
        self.seconds = 2.0
        self.key: str | None = None
        self.fault: str | None = None
        self.received: list[dict[str, Any]] = []
        self.sockets: set[WebSocket] = set()
        self.loop: asyncio.AbstractEventLoop | None = None

    def sent(self, kind: str) -> list[dict[str, Any]]:
        """The events of a type that the page has sent."""
        return [event for event in self.received if event["type"] == kind]

    def lose(self) -> None:
        """Drop every connection, as a network does."""
        assert self.loop
        for socket in list(self.sockets):
            asyncio.run_coroutine_threadsafe(socket.close(1012), self.loop).result(5)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/models", self.models),
                Route("/v1/audio/voices", self.voices),
                Route("/v1/realtime/client_secrets", self.secret, methods=["POST"]),
                WebSocketRoute("/v1/realtime", self.realtime),
                Mount("/", StaticFiles(directory=WEB, html=True)),
            ]
        )

    def answer(self, request: Request, body: dict[str, Any]) -> JSONResponse:
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return JSONResponse({"error": {"message": "Incorrect API key provided."}}, 401)
        return JSONResponse(body)

    async def models(self, request: Request) -> JSONResponse:
        return self.answer(request, {"object": "list", "data": [{"id": "nano", "object": "model"}]})

    async def voices(self, request: Request) -> JSONResponse:
        return self.answer(request, {"voices": [{"id": name, "name": name} for name in ("heart", "michael")]})

    async def secret(self, request: Request) -> JSONResponse:
        return self.answer(request, {"value": "ek_1", "expires_at": int(time.time()) + 60})

    async def realtime(self, socket: WebSocket) -> None:
        offered = socket.scope["subprotocols"]
        if self.key and "openai-insecure-api-key.ek_1" not in offered:
            return await socket.close(1008)
        await socket.accept(subprotocol="realtime")
        self.loop = asyncio.get_running_loop()
        self.sockets.add(socket)
        with suppress(WebSocketDisconnect):
            await Dialogue(self, socket).run()
        self.sockets.discard(socket)


class Dialogue:
    """One session: the order of events is the wire's, the content is the stage's."""

    def __init__(self, stage: Stage, socket: WebSocket) -> None:
        self.stage, self.socket = stage, socket
        self.numbers = itertools.count(1)
        self.turn_detection: dict[str, Any] | None = None
        self.modality = "audio"
        self.heard_ms = 0.0
        self.quiet_ms = 0.0
        self.speaking: str | None = None  # the item of who speaks now
        self.last: str | None = None
        self.reply: asyncio.Task[None] | None = None

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send_json({"type": kind, "event_id": f"event_{next(self.numbers)}", **fields})

    async def run(self) -> None:
        await self.send("session.created", session={"type": "realtime"})
        while True:
            event = await self.socket.receive_json()
            self.stage.received.append(event)
            handle = getattr(self, "on_" + event["type"].replace(".", "_"), None)
            if handle:
                await handle(event)

    async def on_session_update(self, event: dict[str, Any]) -> None:
        session = event["session"]
        self.turn_detection = session["audio"]["input"]["turn_detection"]
        self.modality = session["output_modalities"][0]
        await self.send("session.updated", session=session)

    async def on_conversation_item_create(self, event: dict[str, Any]) -> None:
        item = {**event["item"], "status": "completed"}
        await self.add(item)

    async def add(self, item: dict[str, Any]) -> None:
        previous, self.last = self.last, item["id"]
        await self.send("conversation.item.added", item=item, previous_item_id=previous)
        await self.send("conversation.item.done", item=item, previous_item_id=previous)

    async def on_input_audio_buffer_append(self, event: dict[str, Any]) -> None:
        samples = np.frombuffer(base64.b64decode(event["audio"]), "<i2") / 32768
        milliseconds = len(samples) / RATE * 1000
        self.heard_ms += milliseconds
        if not self.turn_detection:
            return
        if np.sqrt(np.mean(samples**2)) > LOUD:
            self.quiet_ms = 0
            if not self.speaking:
                self.speaking = f"item_{next(self.numbers)}"
                await self.cancel()
                started = {"item_id": self.speaking, "audio_start_ms": int(self.heard_ms)}
                await self.send("input_audio_buffer.speech_started", **started)
            return
        self.quiet_ms += milliseconds
        if self.speaking and self.quiet_ms >= self.turn_detection["silence_duration_ms"]:
            stopped = {"item_id": self.speaking, "audio_end_ms": int(self.heard_ms)}
            await self.send("input_audio_buffer.speech_stopped", **stopped)
            await self.on_input_audio_buffer_commit({})
            await self.on_response_create({})

    async def on_input_audio_buffer_commit(self, _: dict[str, Any]) -> None:
        item_id, self.speaking = self.speaking or f"item_{next(self.numbers)}", None
        await self.send("input_audio_buffer.committed", item_id=item_id, previous_item_id=self.last)
        part = {"type": "input_audio", "transcript": None}
        item = {"id": item_id, "type": "message", "role": "user", "status": "completed", "content": [part]}
        await self.add(item)
        kind = "conversation.item.input_audio_transcription"
        for word in self.stage.hears.split():
            await self.send(f"{kind}.delta", item_id=item_id, content_index=0, delta=word + " ")
        await self.send(f"{kind}.completed", item_id=item_id, content_index=0, transcript=self.stage.hears)

    async def on_conversation_item_truncate(self, event: dict[str, Any]) -> None:
        fields = {name: event[name] for name in ("item_id", "content_index", "audio_end_ms")}
        await self.send("conversation.item.truncated", **fields)

    async def on_response_create(self, _: dict[str, Any]) -> None:
        self.reply = asyncio.create_task(self.respond())
        self.reply.add_done_callback(lambda reply: reply.cancelled() or reply.exception())  # the page left

    async def on_response_cancel(self, _: dict[str, Any]) -> None:
        await self.cancel()

    async def cancel(self) -> None:
        if self.reply and not self.reply.done():
            self.reply.cancel()
            await asyncio.wait([self.reply])

    async def respond(self) -> None:
        response_id, item_id = f"resp_{next(self.numbers)}", f"item_{next(self.numbers)}"
        item = {"id": item_id, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        where = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
        status = "completed"
        await self.send("response.created", response={"id": response_id, "status": "in_progress"})
        try:
            if self.stage.fault:
                status = "failed"
                return
            await self.send("response.output_item.added", response_id=response_id, output_index=0, item=item)
            previous, self.last = self.last, item_id
            await self.send("conversation.item.added", item=item, previous_item_id=previous)
            await (self.speak(where) if self.modality == "audio" else self.write(where))
            part = {"type": "output_text", "text": self.stage.says}
            if self.modality == "audio":
                part = {"type": "output_audio", "transcript": self.stage.says}
            done = {**item, "status": "completed", "content": [part]}
            await self.send("response.output_item.done", response_id=response_id, output_index=0, item=done)
        except asyncio.CancelledError:
            status = "cancelled"
        finally:
            error = {"error": {"message": self.stage.fault}} if self.stage.fault else None
            response = {"id": response_id, "status": status, "status_details": error}
            await self.send("response.done", response=response)

    async def write(self, where: dict[str, Any]) -> None:
        for word in self.stage.says.split():
            await self.send("response.output_text.delta", **where, delta=word + " ")
            await asyncio.sleep(0.02)
        await self.send("response.output_text.done", **where, text=self.stage.says)

    async def speak(self, where: dict[str, Any]) -> None:
        """A hum that swells and falls with each word, twice as fast as it is played."""
        words = self.stage.says.split()
        time_s = np.arange(int(self.stage.seconds * RATE)) / RATE
        swell = np.abs(np.sin(np.pi * time_s * len(words) / self.stage.seconds)) ** 0.5
        hum = 0.25 * swell * (np.sin(2 * np.pi * 180 * time_s) + 0.5 * np.sin(2 * np.pi * 720 * time_s))
        pcm = (hum * 32767).astype("<i2")
        starts = range(0, len(pcm), CHUNK)
        said = 0
        for n, start in enumerate(starts, 1):
            while said < min(len(words), n * 2):
                await self.send("response.output_audio_transcript.delta", **where, delta=words[said] + " ")
                said += 1
            delta = base64.b64encode(pcm[start : start + CHUNK].tobytes()).decode()
            await self.send("response.output_audio.delta", **where, delta=delta)
            await asyncio.sleep(0.04)
        await self.send("response.output_audio.done", **where)
        await self.send("response.output_audio_transcript.done", **where, transcript=self.stage.says)


@contextmanager
def serve(app: Any) -> Iterator[str]:
    """Run an application on a free port of this machine; gives its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 30
    while not server.started and time.monotonic() < until:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join(10)
