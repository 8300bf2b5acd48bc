"""Sessions over real sockets: who may have one, how many, how long, and what a bad client costs the others."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager

import numpy as np
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from thinktalk.contracts import SpeechChunk
from thinktalk.server.realtime import outbox
from thinktalk.server.routes import realtime
from thinktalk.server.settings import Settings

from .conftest import FakeOmni, done, spoken
from .sockets import Running, serving

pytestmark = pytest.mark.anyio

KEY = {"Authorization": "Bearer secret"}


@asynccontextmanager
async def joined(server: Running, **options):
    """A socket, with what it is told first."""
    async with connect(f"ws://{server.at}/v1/realtime?model=gpt-realtime", **options) as socket:
        first = await receive(socket)
        assert first["type"] == "session.created"
        yield socket


async def receive(socket: ClientConnection) -> dict:
    return json.loads(await asyncio.wait_for(socket.recv(), 10))


async def until(socket: ClientConnection, type: str) -> dict:
    while (event := await receive(socket))["type"] != type:
        pass
    return event


async def send(socket: ClientConnection, type: str, **fields) -> None:
    await socket.send(json.dumps({"type": type, **fields}))


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


async def test_a_conversation_over_a_socket():
    with serving(FakeOmni()) as server:
        async with joined(server) as socket:
            assert socket.subprotocol is None
            await socket.send(json.dumps({"type": "response.create"}).encode())  # as bytes, for once
            finished = await until(socket, "response.done")
            assert finished["response"]["status"] == "completed"
            assert server.sessions.running == 1
        await eventually(lambda: server.sessions.running == 0)
        assert server.figure("thinktalk_sessions") == 0
        assert server.figure("thinktalk_replies_total") == 1


@pytest.mark.parametrize(
    "options",
    [
        {"additional_headers": KEY},
        {"subprotocols": ["realtime", "openai-insecure-api-key.secret", "openai-beta.realtime-v1"]},
    ],
)
async def test_a_key_opens_a_session(options):
    with serving(FakeOmni(), api_keys=("secret",)) as server:
        async with joined(server, **options) as socket:
            assert socket.subprotocol == ("realtime" if "subprotocols" in options else None)


async def test_without_the_key_there_is_no_session():
    with serving(FakeOmni(), api_keys=("secret",)) as server:
        for options in ({}, {"subprotocols": ["realtime", "openai-insecure-api-key.wrong"]}):
            with pytest.raises(websockets.InvalidStatus) as refused:
                async with joined(server, **options):
                    pass
            assert refused.value.response.status_code == 401
            assert json.loads(refused.value.response.body)["error"]["message"]


async def test_a_client_secret_opens_sessions_that_begin_with_its_own():
    with serving(FakeOmni(), api_keys=("secret",)) as server:
        secret = server.app.state.server.access.issue(60, {"instructions": "Be brief."})
        protocols = ["realtime", f"openai-insecure-api-key.{secret.value}"]
        async with connect(f"ws://{server.at}/v1/realtime", subprotocols=protocols) as socket:
            assert (await receive(socket))["session"]["instructions"] == "Be brief."
        wrong = server.app.state.server.access.issue(60, {"audio": {"output": {"speed": 99}}})
        protocols = ["realtime", f"openai-insecure-api-key.{wrong.value}"]
        async with connect(f"ws://{server.at}/v1/realtime", subprotocols=protocols) as socket:
            assert (await receive(socket))["error"]["param"] == "audio.output.speed"
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await receive(socket)
            assert closed.value.rcvd and closed.value.rcvd.code == 1008
        await eventually(lambda: server.sessions.running == 0)


async def test_a_page_from_elsewhere_opens_none():
    with serving(FakeOmni(), cors_origins=("https://friend.example",)) as server:
        for origin in (f"http://{server.at}", "https://friend.example"):
            async with joined(server, origin=origin):
                pass
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with joined(server, origin="https://evil.example"):
                pass
        assert refused.value.response.status_code == 403


async def test_there_are_no_more_sessions_than_may_be():
    with serving(FakeOmni(), max_sessions=1) as server:
        async with joined(server), connect(f"ws://{server.at}/v1/realtime") as late:
            assert (await receive(late))["error"]["type"] == "rate_limit_error"
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await receive(late)
            assert closed.value.rcvd and closed.value.rcvd.code == 1013
        await eventually(lambda: server.sessions.running == 0)
        async with joined(server):
            pass


async def test_a_session_has_a_longest():
    with serving(FakeOmni(), session_seconds=0.2) as server:
        async with joined(server) as socket:
            assert (await receive(socket))["error"]["code"] == "session_expired"
            with pytest.raises(websockets.ConnectionClosed):
                await receive(socket)


async def test_a_client_that_does_not_read_is_closed_and_delays_nobody(monkeypatch):
    monkeypatch.setattr(outbox.Outbox.__init__, "__defaults__", (2_000_000,))
    monkeypatch.setattr(realtime, "CLOSING_SECONDS", 0.2)
    slow = FakeOmni()
    long = SpeechChunk(np.zeros(480_000, np.float32), 24_000, 0)
    slow.script = [*[long] * 20, done("")]
    with serving(slow) as server:
        async with joined(server, max_queue=1, compression=None) as deaf, joined(server) as other:
            await send(deaf, "response.create")  # and reads no more
            await asyncio.sleep(0.05)
            slow.script = spoken("Yes.", 2)
            began = time.monotonic()
            await send(other, "response.create")
            await until(other, "response.done")
            assert time.monotonic() - began < 3
            await eventually(lambda: server.sessions.running == 1)
            with pytest.raises(websockets.ConnectionClosed):
                await until(deaf, "response.done")
            await send(other, "response.create")
            await until(other, "response.done")


async def test_clients_that_say_nothing_delay_nobody():
    half_said = base64.b64encode(bytes(4_800)).decode()
    with serving(FakeOmni(), max_sessions=8) as server:
        async with AsyncExitStack() as opened:
            for _ in range(7):
                socket = await opened.enter_async_context(joined(server))
                await send(socket, "input_audio_buffer.append", audio=half_said)  # and no more
            async with joined(server) as other:
                began = time.monotonic()
                await send(other, "response.create")
                await until(other, "response.done")
                assert time.monotonic() - began < 1
            await eventually(lambda: server.sessions.running == 7)


async def test_a_socket_that_is_dropped_frees_all():
    omni = FakeOmni()
    omni.script = ["gate", *spoken("Yes.", 2)]
    sound = base64.b64encode(bytes(48_000)).decode()
    with serving(omni) as server:
        async with joined(server) as socket:
            await send(socket, "response.create")
            await send(socket, "input_audio_buffer.append", audio=sound)
            await eventually(lambda: len(omni.streams) == 1)
            socket.transport.abort()  # as when a network goes away
        await eventually(lambda: server.sessions.running == 0)
        assert omni.streams[0].cancelled


def test_the_settings_bound_it_by_default():
    assert 0 < Settings().max_sessions <= 64 and Settings().session_seconds <= 3600
