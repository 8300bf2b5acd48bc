"""What a client may choose about its session, and what holds where it does not."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from thinktalk.server.realtime.wire import Wire

CLEARABLE = ("turn_detection", "transcription", "noise_reduction", "tracing", "prompt")  # null turns them off
MOST_TOKENS = 4096


class Pcm(Wire):
    """16-bit little-endian samples, mono."""

    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[24000] = 24000


class Pcmu(Wire):
    """G.711 μ-law at 8 kHz."""

    type: Literal["audio/pcmu"] = "audio/pcmu"


class Pcma(Wire):
    """G.711 A-law at 8 kHz."""

    type: Literal["audio/pcma"] = "audio/pcma"


Format = Annotated[Pcm | Pcmu | Pcma, Field(discriminator="type")]


class ServerVad(Wire):
    """A turn ends with a silence."""

    type: Literal["server_vad"] = "server_vad"
    threshold: float = Field(default=0.5, ge=0, le=1)
    prefix_padding_ms: int = Field(default=300, ge=0, le=5000)
    silence_duration_ms: int = Field(default=500, ge=0, le=10_000)
    idle_timeout_ms: int | None = Field(default=None, ge=5000, le=30_000)
    create_response: bool = True
    interrupt_response: bool = True
    nullable = frozenset({"idle_timeout_ms"})


class SemanticVad(Wire):
    """A turn ends with a pause after a complete sentence, or with a longer silence."""

    type: Literal["semantic_vad"] = "semantic_vad"
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


class Transcription(Wire):
    """That what the user says is written down, too; by the model itself, whatever `model` and `prompt` say."""

    model: str | None = None
    language: str | None = None
    prompt: str | None = None


class NoiseReduction(Wire):
    """Accepted; the model hears noise for what it is."""

    type: Literal["near_field", "far_field"] | None = None


class AudioInput(Wire):
    """How the user's sound comes, and when a turn of theirs ends; no `turn_detection`: when the client says so."""

    format: Format = Pcm()
    transcription: Transcription | None = None
    noise_reduction: NoiseReduction | None = None
    turn_detection: Annotated[ServerVad | SemanticVad, Field(discriminator="type")] | None = ServerVad()
    nullable = frozenset({"transcription", "noise_reduction", "turn_detection"})


def _voice_name(voice: Any) -> Any:
    return voice.get("id") if isinstance(voice, dict) else voice


Voice = Annotated[str, BeforeValidator(_voice_name)]


class AudioOutput(Wire):
    format: Format = Pcm()
    voice: Voice = "marin"
    speed: float = Field(default=1.0, ge=0.25, le=1.5)


class Audio(Wire):
    input: AudioInput = AudioInput()
    output: AudioOutput = AudioOutput()


class FunctionTool(Wire):
    """A function that the model may want called; `parameters` is a JSON schema."""

    type: Literal["function"] = "function"
    name: str = Field(min_length=1, max_length=128)
    description: str | None = None
    parameters: dict[str, Any] | None = None

    def shown(self) -> dict[str, Any]:
        """The tool as the model is shown it."""
        function = {"name": self.name, "description": self.description, "parameters": self.parameters or {}}
        return {"type": "function", "function": {k: v for k, v in function.items() if v is not None}}


class NamedTool(Wire):
    type: Literal["function"] = "function"
    name: str


def _one_modality(asked: Any) -> Any:
    """Before GA clients sent ["text", "audio"] and meant speech, which has its text with it."""
    return ["audio"] if isinstance(asked, list) and sorted(map(str, asked)) == ["audio", "text"] else asked


Modalities = Annotated[
    list[Literal["text", "audio"]], Field(min_length=1, max_length=1), BeforeValidator(_one_modality)
]
Tools = Annotated[list[FunctionTool], Field(max_length=128)]
ToolChoice = Literal["auto", "none", "required"] | NamedTool
MaxTokens = Annotated[int, Field(ge=1, le=MOST_TOKENS)] | Literal["inf"]


class Configuration(Wire):
    """A session, as `session.created` and `session.updated` show it."""

    type: Literal["realtime"] = "realtime"
    object: Literal["realtime.session"] = "realtime.session"
    id: str
    model: str
    output_modalities: Modalities = Field(default_factory=lambda: ["audio"])
    instructions: str = ""
    audio: Audio = Audio()
    tools: Tools = Field(default_factory=list)
    tool_choice: ToolChoice = "auto"
    max_output_tokens: MaxTokens = "inf"
    truncation: Any = "auto"
    tracing: Any = None
    prompt: Any = None
    include: list[str] | None = None
    nullable = frozenset({"tracing", "prompt", "include"})

    @model_validator(mode="before")
    @classmethod
    def _check_type(cls, session: Any, info: ValidationInfo) -> Any:
        if isinstance(session, dict) and session.get("type", "realtime") == "transcription":
            raise ValueError(
                "transcription sessions are not offered; use a realtime session with transcription"
            )
        return session

    def updated(self, change: dict[str, Any]) -> "Configuration":
        """With the fields of `change`; null puts one back to its default. Raises pydantic's ValidationError."""
        fixed = {"id": self.id, "model": self.model, "object": self.object}
        return Configuration.model_validate(_merged(self.model_dump(), change) | fixed)


def _merged(current: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    merged = dict(current)
    for name, value in change.items():
        before = current.get(name)
        if value is None and name not in CLEARABLE:
            merged.pop(name, None)
        elif isinstance(value, dict) and isinstance(before, dict) and _is_same_kind(before, value):
            merged[name] = _merged(before, value)
        else:
            merged[name] = value
    return merged


def _is_same_kind(before: dict[str, Any], after: dict[str, Any]) -> bool:
    return after.get("type", before.get("type")) == before.get("type")
