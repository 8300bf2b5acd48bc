"""What a client may send."""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, field_validator

from thinktalk.server.realtime.configuration import Format, MaxTokens, Modalities, ToolChoice, Tools, Voice
from thinktalk.server.realtime.items import FunctionCall, FunctionCallOutput, Id, Item, ItemReference, Message
from thinktalk.server.realtime.wire import Wire

MOST_METADATA = 16


class ClientEvent(Wire):
    event_id: str | None = Field(default=None, max_length=512)


class SessionUpdate(ClientEvent):
    type: Literal["session.update"]
    session: dict[str, Any]


class InputAudioBufferAppend(ClientEvent):
    type: Literal["input_audio_buffer.append"]
    audio: str


class InputAudioBufferCommit(ClientEvent):
    type: Literal["input_audio_buffer.commit"]


class InputAudioBufferClear(ClientEvent):
    type: Literal["input_audio_buffer.clear"]


class OutputAudioBufferClear(ClientEvent):
    type: Literal["output_audio_buffer.clear"]


class ItemCreate(ClientEvent):
    """`previous_item_id`: after which item; "root" is before all, None after all."""

    type: Literal["conversation.item.create"]
    previous_item_id: Id | None = None
    item: Item


class ItemDelete(ClientEvent):
    type: Literal["conversation.item.delete"]
    item_id: Id


class ItemRetrieve(ClientEvent):
    type: Literal["conversation.item.retrieve"]
    item_id: Id


class ItemTruncate(ClientEvent):
    """The user heard no more of what the assistant said than `audio_end_ms`: the rest is to be forgotten."""

    type: Literal["conversation.item.truncate"]
    item_id: Id
    content_index: int = Field(default=0, ge=0)
    audio_end_ms: int = Field(ge=0)

    @field_validator("audio_end_ms", mode="before")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        return int(value) if isinstance(value, float) and abs(value) < 2**53 else value


class ResponseOutput(Wire):
    format: Format | None = None
    voice: Voice | None = None


class ResponseAudio(Wire):
    output: ResponseOutput = ResponseOutput()


class ResponseOptions(Wire):
    """How one response departs from the session; None is as in the session."""

    conversation: str | None = None  # "auto" or "none"
    input: (
        list[
            Annotated[
                Message | FunctionCall | FunctionCallOutput | ItemReference, Field(discriminator="type")
            ]
        ]
        | None
    ) = Field(default=None, max_length=1024)
    instructions: str | None = None
    output_modalities: Modalities | None = None
    audio: ResponseAudio = ResponseAudio()
    tools: Tools | None = None
    tool_choice: ToolChoice | None = None
    max_output_tokens: MaxTokens | None = None
    metadata: dict[str, Any] | None = Field(default=None, max_length=MOST_METADATA)

    @property
    def out_of_band(self) -> bool:
        """Whether the response stays out of the conversation."""
        return self.conversation == "none"


class ResponseCreate(ClientEvent):
    type: Literal["response.create"]
    response: ResponseOptions | None = None


class ResponseCancel(ClientEvent):
    type: Literal["response.cancel"]
    response_id: str | None = None


AnyClientEvent = (
    SessionUpdate
    | InputAudioBufferAppend
    | InputAudioBufferCommit
    | InputAudioBufferClear
    | OutputAudioBufferClear
    | ItemCreate
    | ItemDelete
    | ItemRetrieve
    | ItemTruncate
    | ResponseCreate
    | ResponseCancel
)
CLIENT_EVENTS: TypeAdapter[AnyClientEvent] = TypeAdapter(
    Annotated[AnyClientEvent, Field(discriminator="type")]
)
