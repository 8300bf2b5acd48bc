"""How a server stops, on a real socket with an engine that replies by the book."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI

from tests.unit.server.fakes import error_of
from thinktalk.cli.serve import address, listen
from thinktalk.server.run import Stopping

STREAM = {"messages": [{"role": "user", "content": "hello"}], "stream": True}


@contextmanager
def running(app: FastAPI, grace: int) -> Iterator[tuple[str, Stopping]]:
    """The app served by a thread: its address, and the server to be told to stop."""
    config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=grace)
    server = Stopping(config, app.state.server)
    with listen("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield address(listening), server
        finally:
            server.should_exit = True
            thread.join(10)
    assert not thread.is_alive()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_running_reply_ends_and_nobody_else_gets_in(serve, omni, caplog):
    caplog.set_level(logging.INFO)
    omni.going = asyncio.Event()
    app = serve()
    with running(app, grace=10) as (url, server), httpx2.Client() as client:
        omni.going.set()
        omni.words = ["word"] * 2000
        with client.stream("POST", f"{url}/v1/chat/completions", json=STREAM) as answer:
            pieces = answer.iter_bytes()
            body = next(pieces)
            server.should_exit = True
            until(lambda: "stopping" in caplog.text)
            with pytest.raises(httpx2.ConnectError):
                httpx2.get(f"{url}/health")
            body += b"".join(pieces)
    assert body.endswith(b"data: [DONE]\n\n")
    assert "Cancel" not in caplog.text and "stopped" in caplog.messages


def test_what_takes_longer_than_the_grace_is_broken_off(serve, omni, caplog):
    caplog.set_level(logging.INFO)
    omni.going = asyncio.Event()  # never set
    with running(serve(), grace=0) as (url, server), ThreadPoolExecutor() as asking:
        answer = asking.submit(httpx2.post, f"{url}/v1/chat/completions", json=STREAM)
        until(lambda: omni.open == 1)
        server.should_exit = True
        assert error_of(answer.result(10), 503)["code"] == "server_stopped"
    assert "Cancel 1 running task(s)" in caplog.text and omni.open == 0
