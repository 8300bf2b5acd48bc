"""`POST /v1/realtime/client_secrets`: a short-lived key that a browser may hold."""

import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, ValidationError

from thinktalk.server.errors import ApiError
from thinktalk.server.realtime.configuration import Configuration
from thinktalk.server.realtime.faults import as_fault
from thinktalk.server.shared import Shared

router = APIRouter()


class Expiry(BaseModel):
    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Field(ge=10, le=7200)] | None = None


class SecretRequest(BaseModel):
    """What sessions opened with the secret begin with, and how long it is good for."""

    expires_after: Expiry | None = None
    session: dict[str, Any] | None = None


class SecretReply(BaseModel):
    """OpenAI's ClientSecretCreateResponse."""

    value: str
    expires_at: int
    session: dict[str, Any]


@router.post("/v1/realtime/client_secrets")
async def create_client_secret(server: Shared, asked: SecretRequest | None = None) -> SecretReply:
    """Issue a secret; sessions that it opened go on after it has expired.

    Raises ApiError 400 where no session can begin so.
    """
    asked = asked or SecretRequest()
    seconds = asked.expires_after and asked.expires_after.seconds
    session = asked.session or {}
    try:
        Configuration(id="", model="").updated(session)
    except ValidationError as error:
        fault = as_fault(error)
        raise ApiError(400, f"session.{fault.message}", f"session.{fault.param}", fault.code) from None
    secret = server.access.issue(seconds or server.settings.secret_seconds, session)
    told = {"type": "realtime", "object": "realtime.session", "id": f"sess_{uuid.uuid4().hex}", **session}
    return SecretReply(value=secret.value, expires_at=int(secret.expires_at), session=told)
