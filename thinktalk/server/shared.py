"""What all routes share. A route asks for it by the type `Shared`."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from thinktalk.engine.omni_engine import Omni
from thinktalk.server.access import Access
from thinktalk.server.admission import Admission
from thinktalk.server.media import Media
from thinktalk.server.metrics import Metrics
from thinktalk.server.settings import Settings
from thinktalk.server.spoken import SpokenReplies


@dataclass(frozen=True)
class Server:
    """A model, what is known of its users, and the work that they give it."""

    omni: Omni
    settings: Settings
    access: Access
    admission: Admission
    sessions: Admission
    metrics: Metrics
    media: Media
    spoken: SpokenReplies

    @classmethod
    def of(cls, omni: Omni, settings: Settings) -> "Server":
        """A server at its beginning."""
        admission, metrics = Admission(settings.max_requests, settings.max_waiting), Metrics()
        metrics.watch("running", "Requests being worked on.", lambda: admission.running)
        metrics.watch("waiting", "Requests that wait for that.", lambda: admission.waiting)
        return cls(
            omni=omni,
            settings=settings,
            access=Access(settings.api_keys),
            admission=admission,
            sessions=Admission(settings.max_sessions, waiting=0),
            metrics=metrics,
            media=Media(omni, settings),
            spoken=SpokenReplies(settings.spoken_seconds),
        )


def _shared(connection: HTTPConnection) -> Server:
    return connection.app.state.server


Shared = Annotated[Server, Depends(_shared)]
