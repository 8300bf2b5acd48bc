"""What goes wrong, by the codes that clients know it by."""

import logging

from pydantic import ValidationError

from thinktalk.contracts import UserError
from thinktalk.server.errors import ApiError
from thinktalk.server.realtime.server_events import Fault

log = logging.getLogger(__name__)


class ProtocolError(UserError):
    """An event that cannot be followed. The session goes on."""

    def __init__(self, message: str, code: str, param: str | None = None):
        super().__init__(message)
        self.code, self.param = code, param


def as_fault(error: Exception, event_id: str | None = None) -> Fault:
    """What a client is told of an error; what nobody foresaw is logged here and not told."""
    kind, param = "invalid_request_error", None
    match error:
        case ValidationError():
            first = error.errors(include_url=False, include_input=False)[0]
            param = ".".join(str(step) for step in first["loc"]) or None
            code, message = "invalid_value", f"{param}: {first['msg']}" if param else first["msg"]
        case ProtocolError():
            code, message, param = error.code, str(error), error.param
        case ApiError():
            told = error.body["error"]
            kind, code, message = told["type"], told["code"] or "invalid_value", told["message"]
            param = told["param"]
        case UserError():
            code, message = "invalid_value", str(error)
        case ValueError() | RecursionError():
            code, message = "invalid_json", "an event is a JSON object; this is none"
        case _:
            log.error("unforeseen", exc_info=error)
            kind, code = "server_error", "internal_error"
            message = "the server failed at this; its log says more"
    return Fault(type=kind, code=code, message=message, param=param, event_id=event_id)
