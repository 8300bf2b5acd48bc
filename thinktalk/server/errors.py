"""Whatever goes wrong, in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from thinktalk.contracts import UserError

TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
CODES = {
    400: "invalid_value",
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    415: "unsupported_media_type",
    429: "server_busy",
}
MESSAGES = {404: "there is no such address here", 405: "this address does not take that method"}

log = logging.getLogger(__name__)


class ErrorFacts(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorReply(BaseModel):
    """The body of every answer that is an error."""

    error: ErrorFacts


class ApiError(HTTPException):
    """An answer that is an error: a status, one line that says what to do, and the parameter at fault."""

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(status, message, dict(headers or {}))
        self.param, self.code = param, code

    @property
    def body(self) -> dict[str, Any]:
        """What the client is sent."""
        return error_body(self.status_code, self.detail, self.param, self.code)


def error_body(
    status: int, message: str, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """The body of an answer with `status`; its type and code follow from that where nothing is said."""
    kind = TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    facts = ErrorFacts(message=message, type=kind, param=param, code=code or CODES.get(status))
    return ErrorReply(error=facts).model_dump()


def as_api_error(error: Exception) -> ApiError:
    """What to tell the client of `error`; what nobody foresaw is logged here and not told."""
    match error:
        case ApiError():
            return error
        case UserError():
            return ApiError(400, str(error))
        case RequestValidationError():
            return _invalid(error.errors())
        case HTTPException():
            message = MESSAGES.get(error.status_code, str(error.detail))
            return ApiError(error.status_code, message, headers=error.headers)
    log.error("unforeseen", exc_info=error)
    return ApiError(500, "the server failed at this; its log says more", code="internal_error")


def add_handlers(app: FastAPI) -> None:
    """Let every error of a route leave as one of ours."""

    async def handle(request: Request, error: Exception) -> JSONResponse:
        told = as_api_error(error)
        return JSONResponse(told.body, told.status_code, told.headers)

    for kind in (UserError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, handle)


def _invalid(errors: Sequence[Mapping[str, Any]]) -> ApiError:
    """The most telling of pydantic's complaints, with the place that it is about.

    Of a value that may be this or that, each possibility complains; the one that reached deepest was meant.
    """
    error = max(errors, key=lambda error: len(error["loc"]))
    if error["type"] == "json_invalid":
        return ApiError(400, f"the body is not JSON: {error['ctx']['error']}", code="invalid_json")
    if error["loc"] == ("body",):
        return ApiError(400, "the body is a JSON object; send one, as application/json")
    steps = [step for step in error["loc"][1:] if isinstance(step, int) or step.isidentifier()]
    param = ".".join(str(step) for step in steps) or None
    message = " ".join(str(error["msg"]).split())
    return ApiError(400, f"{param}: {message}" if param else message, param, "invalid_value")
