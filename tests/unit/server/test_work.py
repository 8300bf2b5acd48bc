"""Work that is done for somebody: how much at once, and no longer than they wait for it."""

import asyncio
from collections.abc import Callable

from tests.unit.server.fakes import error_of, in_loop

HELLO = {"messages": [{"role": "user", "content": "hello"}]}
CHAT = "/v1/chat/completions"


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.001)


def test_so_many_at_once_so_many_wait_and_more_are_turned_away(serve, omni):
    async def scenario() -> None:
        app = serve(max_requests=2, max_waiting=1)
        admission = app.state.server.admission
        omni.going = asyncio.Event()
        async with in_loop(app) as client:
            asked = [asyncio.create_task(client.post(CHAT, json={**HELLO, "stream": True})) for _ in range(2)]
            await until(lambda: admission.running == 2)
            asked.append(asyncio.create_task(client.post(CHAT, json=HELLO)))
            await until(lambda: admission.waiting == 1)
            assert (await client.get("/health")).json()["waiting"] == 1
            for stream in (False, True):
                refused = await client.post(CHAT, json={**HELLO, "stream": stream})
                assert error_of(refused, 429)["type"] == "rate_limit_error"
                assert refused.headers["retry-after"] == "2"
            assert omni.open == 2
            omni.going.set()
            assert [(await answer).status_code for answer in asked] == [200] * 3
        assert (admission.running, admission.waiting, omni.open) == (0, 0, 0)

    asyncio.run(scenario())


async def call(app, body: bytes, leaves: asyncio.Event, sent: list[dict]) -> None:
    """The request of a client that leaves when `leaves` is set."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict:
        if messages:
            return messages.pop()
        await leaves.wait()
        return {"type": "http.disconnect"}

    async def send(message) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"host", b"testserver")]
    scope = {"type": "http", "method": "POST", "path": CHAT, "raw_path": CHAT.encode(), "query_string": b""}
    scope |= {"headers": headers, "http_version": "1.1", "scheme": "http", "server": ("testserver", 80)}
    await app({**scope, "asgi": {"version": "3.0", "spec_version": "2.3"}}, receive, send)


def test_a_reply_ends_when_nobody_waits_for_it(serve, omni):
    async def scenario(stream: bool, steps: int) -> list[dict]:
        """The client leaves after `steps` events of the engine."""
        app = serve(max_requests=1)
        omni.going, gone, sent = asyncio.Event(), asyncio.Event(), []
        body = (
            b'{"messages": [{"role": "user", "content": "hello"}], "stream": %s}'
            % str(stream).lower().encode()
        )
        asking = asyncio.create_task(call(app, body, gone, sent))
        await until(lambda: omni.open == 1)
        if steps:
            omni.going.set()
            await until(lambda: len(sent) >= 2)
            omni.going.clear()
        gone.set()
        async with asyncio.timeout(5):
            await asking
        admission = app.state.server.admission
        assert (omni.open, admission.running, admission.waiting) == (0, 0, 0)
        page = app.state.server.metrics.page().decode()
        status = 200 if steps else 499
        assert f'thinktalk_requests_total{{route="{CHAT}",status="{status}"}} 1.0' in page
        return sent

    asyncio.run(scenario(stream=False, steps=0))
    asyncio.run(scenario(stream=True, steps=0))
    omni.words = ["word"] * 1000
    sent = asyncio.run(scenario(stream=True, steps=1))
    assert sent[0]["status"] == 200 and not any(b"[DONE]" in message.get("body", b"") for message in sent)


def test_who_waits_and_leaves_makes_room(serve, omni):
    async def scenario() -> None:
        app = serve(max_requests=1, max_waiting=1)
        admission = app.state.server.admission
        omni.going, gone = asyncio.Event(), asyncio.Event()
        body = b'{"messages": [{"role": "user", "content": "hello"}]}'
        async with in_loop(app) as client:
            first = asyncio.create_task(client.post(CHAT, json=HELLO))
            await until(lambda: admission.running == 1)
            waiting = asyncio.create_task(call(app, body, gone, []))
            await until(lambda: admission.waiting == 1)
            gone.set()
            await waiting
            assert admission.waiting == 0
            omni.going.set()
            assert (await first).status_code == 200
        assert admission.running == 0 and len(omni.asked) == 1

    asyncio.run(scenario())
