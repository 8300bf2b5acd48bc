"""What a chat completion is asked with. Fields that are not listed are ignored: clients send many.

Source: openai-python's types.chat.completion_create_params; `audio_url`, `video_url`, `top_k`,
`chat_template_kwargs` and `mm_processor_kwargs` as other servers have them.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

Format = Literal["wav", "mp3", "flac", "opus", "aac", "pcm16", "pcm"]
SEEDS = 2**63 - 2  # torch takes 64 bits, and speech has the seed after that of the text


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class RefusalPart(BaseModel):
    type: Literal["refusal"]
    refusal: str


class Address(BaseModel):
    url: str  # "data:..." or, where the server allows it, "https://..."


class ImagePart(BaseModel):
    type: Literal["image_url"]
    image_url: Address | str


class VideoPart(BaseModel):
    type: Literal["video_url"]
    video_url: Address | str


class AudioPart(BaseModel):
    type: Literal["audio_url"]
    audio_url: Address | str


class InputAudio(BaseModel):
    data: str  # base64; its format is told from the bytes


class InputAudioPart(BaseModel):
    type: Literal["input_audio"]
    input_audio: InputAudio


AnyPart = Annotated[
    TextPart | RefusalPart | ImagePart | VideoPart | AudioPart | InputAudioPart, Field(discriminator="type")
]


class Function(BaseModel):
    name: str
    arguments: str = "{}"  # JSON


class Call(BaseModel):
    function: Function


class SpokenBefore(BaseModel):
    id: str


class ChatMessage(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[AnyPart] | None = None
    tool_calls: list[Call] | None = None
    audio: SpokenBefore | None = None  # of the assistant: an earlier reply of ours, spoken


class FunctionTool(BaseModel):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(BaseModel):
    type: Literal["function"] = "function"
    function: FunctionTool


class AudioOutput(BaseModel):
    voice: str | dict[str, Any] | None = None
    format: Format | None = None  # None: wav as a whole, pcm16 in a stream


class ResponseFormat(BaseModel):
    type: Literal["text", "json_object", "json_schema"]


class StreamOptions(BaseModel):
    include_usage: bool | None = None


class TemplateOptions(BaseModel):
    enable_thinking: bool | None = None


class MediaOptions(BaseModel):
    use_audio_in_video: bool | None = None


class ChatRequest(BaseModel):
    """The body of `POST /v1/chat/completions`."""

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    model: str | None = None  # there is one: any name will do
    modalities: list[Literal["text", "audio"]] | None = None
    audio: AudioOutput | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: str | list[str] | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=SEEDS)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1, le=2**31)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=10)] | None = None

    tools: list[Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None

    chat_template_kwargs: TemplateOptions | None = None
    mm_processor_kwargs: MediaOptions | None = None

    # What would change the reply and cannot be had; other values than these are refused.
    n: int | None = 1
    frequency_penalty: float | None = 0
    presence_penalty: float | None = 0
    logprobs: bool | None = False
    logit_bias: dict[str, float] | None = None
    functions: Sequence[Any] | None = None
    web_search_options: dict[str, Any] | None = None

    @property
    def spoken(self) -> bool:
        """Whether the reply is to be spoken; it is written in any case."""
        return "audio" in (self.modalities or ())

    @property
    def format(self) -> Format:
        """Of the speech."""
        return (self.audio and self.audio.format) or ("pcm16" if self.stream else "wav")
