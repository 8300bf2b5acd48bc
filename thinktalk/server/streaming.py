"""Answers that take their time: made only as long as somebody waits for them."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping
from contextlib import suppress
from typing import TypeVar

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from thinktalk.server.errors import ApiError, as_api_error

Result = TypeVar("Result")
SSE = "text/event-stream"


class ClientGone(ApiError):
    """Nobody waits for this answer any more; the status, nginx's own for this, is for the log alone."""

    def __init__(self) -> None:
        super().__init__(499, "the client has gone")


def sse(data: str, event: str | None = None) -> bytes:
    """A server-sent event. `data` has no line breaks, as JSON has none."""
    named = f"event: {event}\n" if event else ""
    return f"{named}data: {data}\n\n".encode()


async def while_connected(request: Request, work: Awaitable[Result]) -> Result:
    """The result of `work`, which is cancelled, and ClientGone raised, when the client leaves.

    The request's body must have been read.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        for task in (working, watching):
            task.cancel()
            with suppress(BaseException):
                await task


async def stream(
    request: Request,
    pieces: AsyncGenerator[bytes, None],
    media_type: str,
    headers: Mapping[str, str] | None = None,
) -> StreamingResponse:
    """An answer that is sent piece by piece while it is made.

    The first piece is awaited here: whatever fails before it is still an error with a status of its own.
    `pieces` is closed, and so whatever it holds freed, when all is sent or the client leaves.
    """
    try:
        first = await while_connected(request, anext(pieces, b""))
    except BaseException:
        await pieces.aclose()
        raise
    return _Streamed(pieces, first, media_type, headers)


class _Streamed(StreamingResponse):
    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        first: bytes,
        media_type: str,
        headers: Mapping[str, str] | None,
    ):
        unbuffered = {"cache-control": "no-cache", "x-accel-buffering": "no"}  # also by an nginx in between
        body = _after(first, pieces)
        if media_type == SSE:
            body = _told(body)
        super().__init__(body, headers={**unbuffered, **(headers or {})}, media_type=media_type)
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._pieces.aclose()


async def _after(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in pieces:
        yield piece


async def _told(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """`events`, and an error that ends them as a last one: the status has been sent already."""
    try:
        async for event in events:
            yield event
    except Exception as error:
        yield sse(json.dumps(as_api_error(error).body))


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
