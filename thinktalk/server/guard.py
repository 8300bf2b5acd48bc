"""What every request passes on its way in and out, before any of it is read: trace, key, host, size."""

import asyncio
import logging
import re
import time
import uuid
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from thinktalk.server.errors import ApiError, as_api_error
from thinktalk.server.log import request_id
from thinktalk.server.shared import Server

GIVEN_ID = re.compile(r"[\w.:-]{1,128}")
WANTS_KEY = re.compile(r"/v1(/|$)")  # the page, health and metrics want none
STOPPED = ApiError(503, "the server was stopped before it could answer; ask again", code="server_stopped")

log = logging.getLogger(__name__)


class Trace:
    """Gives each request its id, and counts and logs its answer; an error that nobody caught becomes a 500."""

    def __init__(self, app: ASGIApp, server: Server):
        self._app, self._server = app, server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        given = HTTPConnection(scope).headers.get("x-request-id", "")
        id = given if GIVEN_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"
        request_id.set(id)
        began, status = time.perf_counter(), 0

        async def send_traced(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = id
            elif message["type"] == "websocket.accept":
                status = 101
            await send(message)

        try:
            await self._app(scope, receive, send_traced)
        except (Exception, asyncio.CancelledError) as error:
            if status or scope["type"] == "websocket":  # too late for an answer: the connection breaks off
                raise
            told = STOPPED if isinstance(error, asyncio.CancelledError) else as_api_error(error)
            await JSONResponse(told.body, told.status_code)(scope, receive, send_traced)
        finally:
            route = getattr(scope.get("route"), "path", None) or "other"
            self._server.metrics.requests.labels(route, status).inc()
            seconds = round(time.perf_counter() - began, 3)
            fields = {"method": scope.get("method", "WEBSOCKET"), "route": route, "status": status}
            log.info("answered", extra={"fields": {**fields, "seconds": seconds}})


class Guard:
    """Turns away who may not ask, or sends more than is allowed, before their request is read."""

    def __init__(self, app: ASGIApp, server: Server):
        self._app, self._server = app, server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        connection = HTTPConnection(scope)
        try:
            self._check_page(connection)
            if scope["type"] == "websocket":  # its route asks for the key, or a client secret
                return await self._app(scope, receive, send)
            if WANTS_KEY.match(scope["path"]):
                self._server.access.check(connection)
            limit = self._body_limit(connection)
            _check_size(connection.headers.get("content-length", ""), limit)
        except ApiError as error:
            response = JSONResponse(error.body, error.status_code, error.headers)
            return await response(scope, receive, send)
        read = 0

        async def receive_limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            _check_size(str(read), limit)
            return message

        return await self._app(scope, receive_limited, send)

    def _check_page(self, connection: HTTPConnection) -> None:
        """Where no key is wanted, keep out pages from elsewhere: they come with the user's own browser.

        They show by their Origin; and by the Host, where a page's own name was made to point to this machine.
        """
        settings = self._server.settings
        if settings.hosts and connection.url.hostname not in settings.hosts:
            raise ApiError(
                403, "this server has no key and answers to its local names alone; start it with --api-key"
            )
        origin = connection.headers.get("origin")
        if settings.api_keys or origin is None or {origin, "*"} & {*settings.cors_origins}:
            return
        if urlsplit(origin).netloc != connection.headers.get("host"):
            raise ApiError(403, "this server has no key and answers no other pages; see --cors-origin")

    def _body_limit(self, connection: HTTPConnection) -> int:
        settings = self._server.settings
        is_upload = connection.headers.get("content-type", "").lower().startswith("multipart/form-data")
        return settings.max_upload if is_upload else settings.max_body


def _check_size(size: str, limit: int) -> None:
    if size.isdecimal() and int(size) > limit:
        raise ApiError(413, f"a request of this kind may have {limit:,} bytes; send less")
