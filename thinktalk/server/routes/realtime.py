"""`/v1/realtime`: a WebSocket for each session. What is said on it is in `server/realtime`."""

import asyncio
import logging
from contextlib import suppress

from fastapi import APIRouter, WebSocket
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.websockets import WebSocketDisconnect

from thinktalk.server.access import Secret
from thinktalk.server.errors import ApiError
from thinktalk.server.realtime.faults import as_fault
from thinktalk.server.realtime.outbox import Outbox
from thinktalk.server.realtime.server_events import Error, Fault
from thinktalk.server.realtime.session import Session
from thinktalk.server.shared import Server, Shared

SUBPROTOCOL = "realtime"
GOING_AWAY, POLICY, TRY_AGAIN = 1001, 1008, 1013  # codes of RFC 6455 and its registry
CLOSING_SECONDS = 5.0  # for the client to take a last word

router = APIRouter()
log = logging.getLogger(__name__)


@router.websocket("/v1/realtime")
async def realtime(socket: WebSocket, server: Shared) -> None:
    """Any `model` may be named: there is one, and `session.created` says which."""
    try:
        secret = server.access.check_session(socket)
    except ApiError as error:
        response = JSONResponse(error.body, error.status_code, error.headers)
        return await socket.send_denial_response(response)
    offered = socket.scope.get("subprotocols", [])
    await socket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
    with suppress(WebSocketDisconnect, RuntimeError):  # RuntimeError: it is closed already
        try:
            async with server.sessions.place():
                await _serve(socket, server, secret)
        except ApiError as error:  # as many sessions as there may be
            await _close(socket, as_fault(error), TRY_AGAIN if error.status_code == 429 else POLICY)
        except ValidationError as error:  # a client secret whose session cannot be
            await _close(socket, as_fault(error), POLICY)


@router.get("/v1/realtime", include_in_schema=False)
async def not_upgraded() -> None:
    """For who comes without a WebSocket."""
    message = "this address speaks WebSocket: connect to it with ws: or wss: in place of http: or https:"
    raise ApiError(426, message, headers={"Upgrade": "websocket"})


async def _serve(socket: WebSocket, server: Server, secret: Secret | None) -> None:
    outbox = Outbox()
    session = Session(server.omni, server.settings, outbox.put, server.metrics.replied)
    server.metrics.sessions.inc()
    log.info("session opened", extra={"fields": {"session": session.configuration.id}})
    try:
        session.begin(dict(secret.session) if secret is not None else None)
        ended = await _first_of(
            _receive(socket, session),
            _send(socket, outbox),
            outbox.overflowed.wait(),
            asyncio.sleep(server.settings.session_seconds),
        )
    finally:
        await session.close()
        server.metrics.sessions.dec()
        log.info("session closed", extra={"fields": {"session": session.configuration.id}})
    if ended == 2:
        message = "the client does not read what it is sent; the session is closed"
        await _close(socket, Fault(type="rate_limit_error", code="client_too_slow", message=message), POLICY)
    elif ended == 3:
        message = f"a session may last {server.settings.session_seconds:.0f} s; open another one"
        await _close(
            socket, Fault(type="invalid_request_error", code="session_expired", message=message), GOING_AWAY
        )


async def _receive(socket: WebSocket, session: Session) -> None:
    while (message := await socket.receive())["type"] == "websocket.receive":
        await session.receive(message.get("text") or message.get("bytes") or "")


async def _send(socket: WebSocket, outbox: Outbox) -> None:
    while True:
        await socket.send_text(await outbox.get())


async def _first_of(*works: object) -> int:
    """Which of them ended first; the others are stopped. Its error, if it ended by one, is raised."""
    tasks = [asyncio.ensure_future(work) for work in works]  # type: ignore[arg-type]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        first = next(i for i, task in enumerate(tasks) if task.done())
        tasks[first].result()
        return first
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _close(socket: WebSocket, fault: Fault, code: int) -> None:
    """Say why, and close; a client that does not read is not waited for."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSING_SECONDS):
            await socket.send_text(Error(error=fault).model_dump_json())
            await socket.close(code, fault.code)
