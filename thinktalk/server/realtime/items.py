"""The items of a conversation, as the wire writes them."""

import json
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from thinktalk.server.realtime.wire import Wire

Status = Literal["in_progress", "completed", "incomplete"]
MOST_ID = 512  # letters

Id = Annotated[str, Field(min_length=1, max_length=MOST_ID)]


class InputText(Wire):
    type: Literal["input_text"] = "input_text"
    text: str


class InputAudio(Wire):
    """Sound of the user, base64; sent back only when the item is retrieved."""

    type: Literal["input_audio"] = "input_audio"
    audio: str | None = None
    transcript: str | None = None
    nullable = frozenset({"transcript"})


class InputImage(Wire):
    """A picture as a data: URL."""

    type: Literal["input_image"] = "input_image"
    image_url: str
    detail: Literal["auto", "low", "high"] | None = None


class OutputText(Wire):
    type: Literal["output_text"] = "output_text"
    text: str = ""


class OutputAudio(Wire):
    """Speech of the model, and its text."""

    type: Literal["output_audio"] = "output_audio"
    audio: str | None = None
    transcript: str = ""


def _current_name(part: Any) -> Any:
    """Parts by the names that they had before GA, which some clients still send."""
    if isinstance(part, dict) and part.get("type") in ("text", "audio"):
        return {**part, "type": f"output_{part['type']}"}
    return part


Part = Annotated[
    InputText | InputAudio | InputImage | OutputText | OutputAudio,
    Field(discriminator="type"),
    BeforeValidator(_current_name),
]
ROLES = {
    "system": (InputText,),
    "user": (InputText, InputAudio, InputImage),
    "assistant": (OutputText, OutputAudio),
}


class Message(Wire):
    """What one side said."""

    id: Id | None = None
    object: Literal["realtime.item"] = "realtime.item"
    type: Literal["message"] = "message"
    status: Status = "completed"
    role: Literal["system", "user", "assistant"]
    content: list[Part] = Field(max_length=64)

    @model_validator(mode="after")
    def _check_parts(self) -> "Message":
        for part in self.content:
            if not isinstance(part, ROLES[self.role]):
                allowed = ", ".join(kind.model_fields["type"].default for kind in ROLES[self.role])
                raise ValueError(f"a message of the {self.role} has {allowed}; got {part.type}")
        return self


class FunctionCall(Wire):
    """The model wants a function called; `arguments` is a JSON object."""

    id: Id | None = None
    object: Literal["realtime.item"] = "realtime.item"
    type: Literal["function_call"] = "function_call"
    status: Status = "completed"
    call_id: Id | None = None
    name: str
    arguments: str

    @model_validator(mode="after")
    def _check_arguments(self) -> "FunctionCall":
        if self.status != "in_progress" and not isinstance(as_json(self.arguments or "{}"), dict):
            raise ValueError("arguments are a JSON object, written as a string")
        return self


class FunctionCallOutput(Wire):
    """What the function answered."""

    id: Id | None = None
    object: Literal["realtime.item"] = "realtime.item"
    type: Literal["function_call_output"] = "function_call_output"
    status: Status = "completed"
    call_id: Id
    output: str


Item = Annotated[Message | FunctionCall | FunctionCallOutput, Field(discriminator="type")]


class ItemReference(Wire):
    """An item of the conversation, named among the input of a response."""

    type: Literal["item_reference"] = "item_reference"
    id: Id


def as_json(text: str) -> Any:
    """What `text` says in JSON, None where it says nothing in it."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
