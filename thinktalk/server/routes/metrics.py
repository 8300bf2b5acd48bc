"""`GET /metrics`: figures for Prometheus."""

from fastapi import APIRouter, Response

from thinktalk.server.shared import Shared

router = APIRouter()


@router.get("/metrics", response_class=Response)
async def metrics(server: Shared) -> Response:
    """The figures of `metrics.Metrics`."""
    return Response(server.metrics.page(), media_type=server.metrics.content_type)
