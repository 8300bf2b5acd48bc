"""The server with an engine that replies by the book."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.unit.server.fakes import FakeOmni
from thinktalk.server.app import create_app
from thinktalk.server.settings import Settings

Serve = Callable[..., FastAPI]
Client = Callable[..., TestClient]


@pytest.fixture
def omni() -> FakeOmni:
    return FakeOmni()


@pytest.fixture
def serve(omni: FakeOmni) -> Serve:
    """serve(max_requests=1) -> the app with these settings."""

    def serve(**settings: Any) -> FastAPI:
        return create_app(omni, Settings(**settings))  # type: ignore[arg-type]

    return serve


@pytest.fixture
def client(serve: Serve) -> Iterator[Client]:
    """client(api_keys=("k",)) -> a client of the app with these settings."""
    with ExitStack() as stack:

        def client(**settings: Any) -> TestClient:
            return stack.enter_context(TestClient(serve(**settings), raise_server_exceptions=False))

        yield client
