"""`GET /v1/audio/voices`: who can speak."""

from typing import Any

from fastapi import APIRouter

from thinktalk.server.shared import Shared

router = APIRouter()


@router.get("/v1/audio/voices")
async def list_voices(server: Shared) -> dict[str, Any]:
    """The model's own voices; OpenAI's names are understood besides."""
    return {"voices": [{"id": voice, "name": voice} for voice in server.omni.voices]}
