"""The server at work: from a listening socket until it is told to stop."""

import asyncio
import logging
import socket

import uvicorn

from thinktalk.engine.omni_engine import Omni
from thinktalk.server.app import create_app
from thinktalk.server.log import to_stderr
from thinktalk.server.settings import MiB, Settings
from thinktalk.server.shared import Server

BREAKING_OFF_SECONDS = 5.0  # for what is broken off to let go of what it holds
MOST_EVENT = 24 * MiB  # of a real-time session: the 15 MiB of sound that it may append at once, in base64

log = logging.getLogger(__name__)


def run(omni: Omni, settings: Settings, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM; returns when running replies have ended or were broken off.

    At a second SIGINT they are broken off at once. In the end no thread of the model's is at work.
    """
    to_stderr()
    app = create_app(omni, settings)
    config = uvicorn.Config(
        app,
        log_config=None,  # ours
        access_log=False,
        lifespan="off",  # there is nothing to be done before or after
        server_header=False,
        timeout_graceful_shutdown=round(settings.grace_seconds),
        ws_max_size=MOST_EVENT,
        ws_per_message_deflate=False,  # sound does not get smaller
    )
    stopping = Stopping(config, app.state.server)
    try:
        stopping.run([listening])
    except (KeyboardInterrupt, SystemExit):  # uvicorn raises the signal again once it has obeyed it
        if not stopping.should_exit:
            raise
    finally:
        omni.close()
        log.info("finished")


class Stopping(uvicorn.Server):
    """Tells the log what it waits for when it stops, and what it did not wait for any more."""

    def __init__(self, config: uvicorn.Config, server: Server):
        super().__init__(config)
        self._server = server

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does: no more connections; who has one gets the rest of an answer within the grace."""
        self._tell("stopping: running replies may end")
        await super().shutdown(sockets)
        unfinished = list(self.server_state.tasks)
        for task in unfinished:
            task.cancel()
        if unfinished:
            await asyncio.wait(unfinished, timeout=BREAKING_OFF_SECONDS)
        self._tell("stopped", broken_off=len(unfinished))

    def _tell(self, what: str, **more: int) -> None:
        admission = self._server.admission
        counts = {"running": admission.running, "waiting": admission.waiting, **more}
        log.info(what, extra={"fields": counts})
