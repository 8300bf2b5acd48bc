"""`POST /v1/audio/transcriptions` and `/translations`: what is said in a recording, as text."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Request, Response, UploadFile

from thinktalk.contracts import UserError
from thinktalk.engine.transcribing import Task, language_name
from thinktalk.server.errors import ApiError
from thinktalk.server.shared import Shared
from thinktalk.server.streaming import SSE, stream, while_connected
from thinktalk.server.transcribing import MIMES, Transcribing

router = APIRouter()

WRITTEN: dict[str, Any] = {mime: {} for mime in MIMES}

Upload = Annotated[UploadFile, File(description="Sound, or a video with sound; any common format.")]
Name = Annotated[str | None, Form()]
Context = Annotated[str, Form(max_length=4096)]
Temperature = Annotated[float, Form(ge=0, le=1)]
Format = Annotated[Literal["json", "text", "srt", "vtt", "verbose_json"], Form()]


@router.post(
    "/v1/audio/transcriptions", response_class=Response, responses={200: {"content": WRITTEN | {SSE: {}}}}
)
async def create_transcription(
    request: Request,
    server: Shared,
    file: Upload,
    model: Name = None,  # there is one: any name will do
    language: Name = None,
    prompt: Context = "",
    temperature: Temperature = 0.0,
    response_format: Format = "json",
    stream_: Annotated[bool, Form(alias="stream")] = False,
    granularities: Annotated[
        list[Literal["word", "segment"]] | None, Form(alias="timestamp_granularities[]")
    ] = None,
    include: Annotated[list[str] | None, Form(alias="include[]")] = None,
) -> Response:
    """Write down what is said; with `stream` while it is heard."""
    if granularities and "word" in granularities:
        raise ApiError(
            400,
            "the model does not tell when each word was said; ask for segments",
            "timestamp_granularities",
            "unsupported_value",
        )
    if include:
        raise ApiError(
            400, "there is nothing to include: no logprobs are kept", "include", "unsupported_value"
        )
    if stream_ and response_format not in ("json", "text"):
        raise ApiError(400, "what is streamed is text; ask for json, or do not stream", "response_format")
    try:
        spoken = language_name(language) if language else None
    except UserError as error:
        raise ApiError(400, str(error), "language") from None
    task = Task(spoken, False, prompt.strip(), temperature)
    transcribing = Transcribing(server, task, file)
    if stream_:
        return await stream(request, transcribing.events(), SSE)
    return await while_connected(request, transcribing.whole(response_format))


@router.post("/v1/audio/translations", response_class=Response, responses={200: {"content": WRITTEN}})
async def create_translation(
    request: Request,
    server: Shared,
    file: Upload,
    model: Name = None,
    prompt: Context = "",
    temperature: Temperature = 0.0,
    response_format: Format = "json",
) -> Response:
    """Write down in English what is said in another language."""
    task = Task(None, True, prompt.strip(), temperature)
    return await while_connected(request, Transcribing(server, task, file).whole(response_format))
