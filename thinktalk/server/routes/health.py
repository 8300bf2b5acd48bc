"""`GET /health`: whether the server is up, and what it is at."""

from typing import Any

from fastapi import APIRouter

from thinktalk.server.shared import Shared

router = APIRouter()


@router.get("/health")
async def health(server: Shared) -> dict[str, Any]:
    """Answers as long as the event loop does; a full server is still a healthy one."""
    admission = server.admission
    return {
        "status": "ok",
        "model": server.settings.model,
        "running": admission.running,
        "waiting": admission.waiting,
    }
