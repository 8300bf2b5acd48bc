"""The table of routes, and what each request passes on its way to them."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from thinktalk.engine.omni_engine import Omni
from thinktalk.server.errors import ErrorReply, add_handlers
from thinktalk.server.guard import Guard, Trace
from thinktalk.server.routes import (
    chat,
    client_secrets,
    health,
    metrics,
    models,
    realtime,
    speech,
    transcriptions,
    voices,
)
from thinktalk.server.settings import Settings
from thinktalk.server.shared import Server

ROUTES = (chat, realtime, speech, transcriptions, client_secrets, models, voices, health, metrics)
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorReply, "description": "What is wrong, and what to do."}
    for status in ("4XX", "5XX")
}
PAGE = Path(__file__).parent / "web"


def create_app(omni: Omni, settings: Settings | None = None) -> FastAPI:
    """The server of one model; any ASGI server runs it, in one process."""
    settings = settings or Settings()
    app = FastAPI(title="thinktalk", docs_url=None, redoc_url=None, responses=ERRORS)
    app.state.server = server = Server.of(omni, settings)
    for route in ROUTES:
        app.include_router(route.router)
    _add_page(app)
    add_handlers(app)
    app.add_middleware(Guard, server=server)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["x-request-id", "retry-after"],
        )
    app.add_middleware(Trace, server=server)  # the last to be added is the first to be passed
    return app


def _add_page(app: FastAPI) -> None:
    """Let what no route knows be looked for among the page's files.

    A mount at "/" would match before a route whose method is another one, and turn its 405 into a 404.
    """
    files, otherwise = StaticFiles(directory=PAGE, html=True), app.router.default

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        is_read = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        await (files if is_read else otherwise)(scope, receive, send)

    app.router.default = page
