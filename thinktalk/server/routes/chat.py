"""`POST /v1/chat/completions`: text, pictures, sound and video in; text, speech and tool calls out."""

from fastapi import APIRouter, Request, Response

from thinktalk.server.chat.reply import Completion
from thinktalk.server.chat.replying import Replying
from thinktalk.server.chat.request import ChatRequest
from thinktalk.server.shared import Shared
from thinktalk.server.streaming import SSE, stream, while_connected

router = APIRouter()


@router.post("/v1/chat/completions", response_model=Completion, responses={200: {"content": {SSE: {}}}})
async def chat_completions(asked: ChatRequest, request: Request, server: Shared) -> Completion | Response:
    """Reply to a conversation, as a whole or, with `stream`, in server-sent chunks."""
    replying = Replying(server, asked)
    if asked.stream:
        return await stream(request, replying.chunks(), SSE)
    return await while_connected(request, replying.whole())
