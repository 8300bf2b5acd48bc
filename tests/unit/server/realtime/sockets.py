"""A server on a real socket, in a thread of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from fastapi import FastAPI

from thinktalk.cli.serve import listen
from thinktalk.server.admission import Admission
from thinktalk.server.app import create_app
from thinktalk.server.settings import Settings


@dataclass
class Running:
    """A server that is `at` "host:port"."""

    at: str
    app: FastAPI

    @property
    def sessions(self) -> Admission:
        return self.app.state.server.sessions

    def figure(self, name: str) -> float:
        """The sum of a metric."""
        found = self.app.state.server.metrics.registry.collect()
        return sum(sample.value for metric in found for sample in metric.samples if sample.name == name)


@contextmanager
def serving(omni: Any, **settings: Any) -> Iterator[Running]:
    """A server of `omni` until the block is left."""
    listening = listen("127.0.0.1", 0)
    app = create_app(omni, Settings(**settings))
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1, ws_per_message_deflate=False)
    )
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        host, port = listening.getsockname()
        yield Running(f"{host}:{port}", app)
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the server does not stop"
