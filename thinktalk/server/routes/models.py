"""`GET /v1/models`, `/v1/models/{id}` and `/v1/audio/models`: the one model that is served."""

import time
from typing import Any

from fastapi import APIRouter

from thinktalk.server.errors import ApiError
from thinktalk.server.shared import Server, Shared

router = APIRouter()
STARTED = int(time.time())


@router.get("/v1/models")
async def list_models(server: Shared) -> dict[str, Any]:
    """OpenAI's list of models."""
    return {"object": "list", "data": [_card(server)]}


@router.get("/v1/models/{model:path}")
async def retrieve_model(model: str, server: Shared) -> dict[str, Any]:
    """One of them."""
    if model != server.settings.model:
        raise ApiError(404, f"there is no model {model!r} here", "model", "model_not_found")
    return _card(server)


@router.get("/v1/audio/models")
async def list_audio_models(server: Shared) -> dict[str, Any]:
    """The same as Open WebUI asks for it."""
    return {"models": [{"id": server.settings.model, "name": server.settings.model}]}


def _card(server: Server) -> dict[str, Any]:
    return {"id": server.settings.model, "object": "model", "created": STARTED, "owned_by": "thinktalk"}
