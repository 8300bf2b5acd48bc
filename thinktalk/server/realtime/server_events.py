"""What we send. Nothing else goes out: some clients stop at an event that they do not know."""

from typing import Any, Literal

from pydantic import Field

from thinktalk.server.realtime.configuration import Configuration, Format
from thinktalk.server.realtime.items import FunctionCall, FunctionCallOutput, Message, OutputAudio, OutputText
from thinktalk.server.realtime.wire import Wire, new_id

AnyItem = Message | FunctionCall | FunctionCallOutput


class ServerEvent(Wire):
    event_id: str = Field(default_factory=lambda: new_id("event"))


class Fault(Wire):
    """What went wrong; `event_id` is the client's, of the event that is at fault."""

    type: str
    message: str
    code: str | None = None
    param: str | None = None
    event_id: str | None = None
    nullable = frozenset({"code", "param", "event_id"})


class Error(ServerEvent):
    type: Literal["error"] = "error"
    error: Fault


class SessionCreated(ServerEvent):
    type: Literal["session.created"] = "session.created"
    session: Configuration


class SessionUpdated(ServerEvent):
    type: Literal["session.updated"] = "session.updated"
    session: Configuration


# --------------------------------------------------------------------------- what the user says


class SpeechStarted(ServerEvent):
    """Times are of all sound that was ever appended."""

    type: Literal["input_audio_buffer.speech_started"] = "input_audio_buffer.speech_started"
    audio_start_ms: int
    item_id: str


class SpeechStopped(ServerEvent):
    type: Literal["input_audio_buffer.speech_stopped"] = "input_audio_buffer.speech_stopped"
    audio_end_ms: int
    item_id: str


class TimeoutTriggered(ServerEvent):
    type: Literal["input_audio_buffer.timeout_triggered"] = "input_audio_buffer.timeout_triggered"
    audio_start_ms: int
    audio_end_ms: int
    item_id: str


class InputCommitted(ServerEvent):
    """What was appended is now the item `item_id`, after `previous_item_id`; None: it is the first."""

    type: Literal["input_audio_buffer.committed"] = "input_audio_buffer.committed"
    previous_item_id: str | None
    item_id: str
    nullable = frozenset({"previous_item_id"})


class InputCleared(ServerEvent):
    type: Literal["input_audio_buffer.cleared"] = "input_audio_buffer.cleared"


class TranscriptionDelta(ServerEvent):
    type: Literal["conversation.item.input_audio_transcription.delta"] = (
        "conversation.item.input_audio_transcription.delta"
    )
    item_id: str
    content_index: int = 0
    delta: str


class TranscriptionUsage(Wire):
    type: Literal["duration"] = "duration"
    seconds: float


class TranscriptionCompleted(ServerEvent):
    type: Literal["conversation.item.input_audio_transcription.completed"] = (
        "conversation.item.input_audio_transcription.completed"
    )
    item_id: str
    content_index: int = 0
    transcript: str
    usage: TranscriptionUsage


class TranscriptionFault(Wire):
    type: str
    message: str
    code: str | None = None


class TranscriptionFailed(ServerEvent):
    type: Literal["conversation.item.input_audio_transcription.failed"] = (
        "conversation.item.input_audio_transcription.failed"
    )
    item_id: str
    content_index: int = 0
    error: TranscriptionFault


# --------------------------------------------------------------------------- the conversation


class ItemAdded(ServerEvent):
    """An item is in the conversation, after `previous_item_id` (None: it is the first), and may still grow."""

    type: Literal["conversation.item.added"] = "conversation.item.added"
    previous_item_id: str | None
    item: AnyItem
    nullable = frozenset({"previous_item_id"})


class ItemDone(ServerEvent):
    """An item of the conversation will grow no more."""

    type: Literal["conversation.item.done"] = "conversation.item.done"
    previous_item_id: str | None
    item: AnyItem
    nullable = frozenset({"previous_item_id"})


class ItemDeleted(ServerEvent):
    type: Literal["conversation.item.deleted"] = "conversation.item.deleted"
    item_id: str


class ItemRetrieved(ServerEvent):
    type: Literal["conversation.item.retrieved"] = "conversation.item.retrieved"
    item: AnyItem


class ItemTruncated(ServerEvent):
    type: Literal["conversation.item.truncated"] = "conversation.item.truncated"
    item_id: str
    content_index: int
    audio_end_ms: int


# --------------------------------------------------------------------------- a response


class ResponseFault(Wire):
    type: str
    code: str | None = None
    message: str


class StatusDetails(Wire):
    type: Literal["completed", "cancelled", "incomplete", "failed"]
    reason: Literal["turn_detected", "client_cancelled", "max_output_tokens"] | None = None
    error: ResponseFault | None = None


class InputTokens(Wire):
    text_tokens: int
    audio_tokens: int
    image_tokens: int = 0
    cached_tokens: int


class OutputTokens(Wire):
    """Audio tokens are frames of 80 ms."""

    text_tokens: int
    audio_tokens: int


class ResponseUsage(Wire):
    total_tokens: int
    input_tokens: int
    output_tokens: int
    input_token_details: InputTokens
    output_token_details: OutputTokens


class ResponseOutput(Wire):
    format: Format
    voice: str


class ResponseAudio(Wire):
    output: ResponseOutput


class Response(Wire):
    """A response as far as it has come; `conversation_id` is None where it stays out of the conversation."""

    object: Literal["realtime.response"] = "realtime.response"
    id: str
    status: Literal["in_progress", "completed", "cancelled", "incomplete", "failed"]
    status_details: StatusDetails | None = None
    output: list[AnyItem]
    conversation_id: str | None
    output_modalities: list[Literal["text", "audio"]]
    max_output_tokens: int | Literal["inf"]
    audio: ResponseAudio
    usage: ResponseUsage | None = None
    metadata: dict[str, Any] | None = None
    nullable = frozenset({"status_details", "conversation_id", "usage", "metadata"})


class ResponseCreated(ServerEvent):
    type: Literal["response.created"] = "response.created"
    response: Response


class ResponseDone(ServerEvent):
    type: Literal["response.done"] = "response.done"
    response: Response


class OfResponse(ServerEvent):
    response_id: str
    output_index: int


class OutputItemAdded(OfResponse):
    type: Literal["response.output_item.added"] = "response.output_item.added"
    item: AnyItem


class OutputItemDone(OfResponse):
    type: Literal["response.output_item.done"] = "response.output_item.done"
    item: AnyItem


class OfItem(OfResponse):
    item_id: str


class OfPart(OfItem):
    content_index: int = 0


class ContentPart(Wire):
    """A part in the events of a response goes by other names than in its item."""

    type: Literal["text", "audio"]
    text: str | None = None
    transcript: str | None = None

    @classmethod
    def of(cls, part: OutputText | OutputAudio) -> "ContentPart":
        """The same part by these names."""
        if isinstance(part, OutputText):
            return cls(type="text", text=part.text)
        return cls(type="audio", transcript=part.transcript)


class ContentPartAdded(OfPart):
    type: Literal["response.content_part.added"] = "response.content_part.added"
    part: ContentPart


class ContentPartDone(OfPart):
    type: Literal["response.content_part.done"] = "response.content_part.done"
    part: ContentPart


class TextDelta(OfPart):
    type: Literal["response.output_text.delta"] = "response.output_text.delta"
    delta: str


class TextDone(OfPart):
    type: Literal["response.output_text.done"] = "response.output_text.done"
    text: str


class TranscriptDelta(OfPart):
    type: Literal["response.output_audio_transcript.delta"] = "response.output_audio_transcript.delta"
    delta: str


class TranscriptDone(OfPart):
    type: Literal["response.output_audio_transcript.done"] = "response.output_audio_transcript.done"
    transcript: str


class AudioDelta(OfPart):
    """`delta`: base64 of samples in the format of the session's output."""

    type: Literal["response.output_audio.delta"] = "response.output_audio.delta"
    delta: str


class AudioDone(OfPart):
    type: Literal["response.output_audio.done"] = "response.output_audio.done"


class ArgumentsDelta(OfItem):
    type: Literal["response.function_call_arguments.delta"] = "response.function_call_arguments.delta"
    call_id: str
    delta: str


class ArgumentsDone(OfItem):
    type: Literal["response.function_call_arguments.done"] = "response.function_call_arguments.done"
    call_id: str
    name: str
    arguments: str
