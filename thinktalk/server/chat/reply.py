"""What a chat completion answers, as a whole and in chunks.

Source: openai-python's types.chat.chat_completion and chat_completion_chunk.
"""

import time
import uuid
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, SerializerFunctionWrapHandler, model_serializer

from thinktalk.contracts import Done, FinishReason

Reason = Literal["stop", "length", "tool_calls", "content_filter"]
REASONS: dict[FinishReason, Reason] = {
    "stop": "stop",
    "stop_string": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "handoff": "content_filter",
    "cancelled": "length",
}


class Sparse(BaseModel):
    """A shape whose fields are left out where there is nothing in them, but for `always`."""

    always: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _filled(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {k: v for k, v in serialise(self).items() if v is not None or k in self.always}


class Speech(Sparse):
    id: str | None = None
    data: str | None = None  # base64
    transcript: str | None = None
    expires_at: int | None = None


class CalledFunction(BaseModel):
    name: str
    arguments: str  # JSON


class Called(Sparse):
    index: int | None = None  # in chunks alone
    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class Message(Sparse):
    """The whole reply's, which has `content` even where there is none: a call of tools has null there."""

    always = frozenset({"content"})
    role: Literal["assistant"] = "assistant"
    content: str | None = None
    reasoning_content: str | None = None
    audio: Speech | None = None
    tool_calls: list[Called] | None = None


class Delta(Sparse):
    role: Literal["assistant"] | None = None
    content: str | None = None
    reasoning_content: str | None = None
    audio: Speech | None = None
    tool_calls: list[Called] | None = None


class CompletionDetails(BaseModel):
    text_tokens: int
    audio_tokens: int  # frames of 80 ms


class PromptDetails(BaseModel):
    cached_tokens: int


class Usage(BaseModel):
    """What a reply took, in tokens: of text those written, of speech one for each frame."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails

    @classmethod
    def of(cls, done: Done) -> "Usage":
        used = done.usage
        completion = used.text_tokens + used.speech_frames
        return cls(
            prompt_tokens=used.prompt_tokens,
            completion_tokens=completion,
            total_tokens=used.prompt_tokens + completion,
            prompt_tokens_details=PromptDetails(cached_tokens=used.cached_tokens),
            completion_tokens_details=CompletionDetails(
                text_tokens=used.text_tokens, audio_tokens=used.speech_frames
            ),
        )


class Choice(BaseModel):
    index: int = 0
    message: Message
    logprobs: None = None
    finish_reason: Reason


class ChunkChoice(BaseModel):
    index: int = 0
    delta: Delta
    logprobs: None = None
    finish_reason: Reason | None = None


class Completion(BaseModel):
    """A whole reply."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage


class Chunk(Sparse):
    """A piece of a reply."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None


@dataclass(frozen=True)
class Heading:
    """What the pieces of one reply have in common."""

    model: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, message: Message, done: Done) -> Completion:
        choice = Choice(message=message, finish_reason=REASONS[done.finish_reason])
        return Completion(**vars(self), choices=[choice], usage=Usage.of(done))

    def chunk(self, delta: Delta, reason: Reason | None = None) -> Chunk:
        return Chunk(**vars(self), choices=[ChunkChoice(delta=delta, finish_reason=reason)])

    def used(self, done: Done) -> Chunk:
        """The last of all chunks."""
        return Chunk(**vars(self), choices=[], usage=Usage.of(done))
