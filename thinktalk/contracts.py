"""The nouns that travel between rooms. Nothing here computes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from torch import Tensor


class UserError(Exception):
    """Something the user can mend. The message is one line that says what is wrong and what to do."""


# --------------------------------------------------------------------------- what a person says

Source = str | Path | bytes
Span = tuple[float, float | None]  # a part of a recording: its first and its last second; None: to the end


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Audio:
    """Sound to be heard: a file, its bytes, or mono samples in [-1, 1] with their rate in Hz; or a `span` of it."""

    source: Source | np.ndarray
    rate: int = 16_000
    span: Span | None = None


@dataclass(frozen=True)
class Image:
    """A picture: a file, its bytes, or uint8 pixels [height, width, 3]."""

    source: Source | np.ndarray


@dataclass(frozen=True)
class Video:
    """A video file or its bytes, or a `span` of it, watched at `fps` frames a second, with its sound if `with_audio`.

    Or frames that have been sampled at `fps`, uint8 [n, height, width, 3], with their `sound`, mono at 16 kHz.
    """

    source: Source | np.ndarray
    fps: float = 2.0
    with_audio: bool = True
    sound: np.ndarray | None = None
    span: Span | None = None


@dataclass(frozen=True)
class Heard:
    """Audio that has been encoded already, while it was spoken: features [tokens, width]."""

    features: Tensor


Part = Text | Audio | Image | Video | Heard


@dataclass(frozen=True)
class ToolCall:
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Message:
    """One turn. A `tool` turn carries the result of a call as its content."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | Sequence[Part]
    tool_calls: Sequence[ToolCall] = ()


# --------------------------------------------------------------------------- what the model reads


@dataclass
class Features:
    """One piece of media, ready for its encoder; lists in `Prompt` keep the order of the placeholders.

    audio: mel [128, frames], or `encoded` [tokens, width]
    image, video: patches [n, 1536] with grid (t, h, w) counted in patches
    """

    kind: Literal["audio", "image", "video"]
    mel: Tensor | None = None
    encoded: Tensor | None = None
    patches: Tensor | None = None
    grid: tuple[int, int, int] | None = None
    tokens: int = 0
    seconds_per_grid: float = 1.0
    has_audio: bool = False  # a video whose sound, the next audio in order, is interleaved with it


@dataclass
class Prompt:
    """Token ids [length] with every placeholder expanded, and the media behind them in order."""

    ids: Tensor
    audios: list[Features] = field(default_factory=list)
    images: list[Features] = field(default_factory=list)
    videos: list[Features] = field(default_factory=list)


# --------------------------------------------------------------------------- what stages hand on


@dataclass
class ThinkerStep:
    """What the Thinker knows of `n` new positions; batch first, one request is a batch of one.

    hidden [b, n, width]: after the final norm. `embedded` [b, n, width]: the input of layer 0, with media
    scattered in. `accepted` [b, n, width]: the output of the layer whose states the Talker may see.
    """

    hidden: Tensor
    embedded: Tensor
    accepted: Tensor


class Cache(Protocol):
    """Keys and values of the positions seen so far. Modules hold weights; the caller holds this."""

    @property
    def length(self) -> int:
        """Positions already held."""
        ...

    def attend(
        self, layer: int, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Append keys and values [b, kv, n, d] of a layer, and let queries [b, h, n, d] look at all: [b, h, n, d].

        `mask` as in `nn.attention.attend`.
        """
        ...


class Sampler(Protocol):
    """Chooses ids [b] from logits [b, vocab], given the ids chosen before."""

    def __call__(self, logits: Tensor, history: Sequence[int]) -> Tensor: ...


# --------------------------------------------------------------------------- what a person gets


@dataclass(frozen=True)
class TextDelta:
    """The next piece of the written reply."""

    text: str


@dataclass(frozen=True)
class SpeechChunk:
    """The next piece of the spoken reply: float32 samples in [-1, 1] at `rate` Hz, of codec frame `frame`."""

    samples: np.ndarray
    rate: int
    frame: int


@dataclass(frozen=True)
class Usage:
    """`cached_tokens` are those of the prompt that had been read before."""

    prompt_tokens: int
    text_tokens: int
    speech_frames: int
    cached_tokens: int = 0


@dataclass(frozen=True)
class Timings:
    """Seconds since the request began; None where that part did not happen."""

    first_text: float | None
    first_audio: float | None
    total: float
    speech_seconds: float

    @property
    def real_time_factor(self) -> float | None:
        """Seconds of work for one second of speech."""
        return self.total / self.speech_seconds if self.speech_seconds else None


FinishReason = Literal["stop", "length", "stop_string", "tool_calls", "cancelled", "handoff"]


@dataclass(frozen=True)
class Done:
    """The end of a reply, always the last event."""

    text: str
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    thinking: str = ""
    tool_calls: Sequence[ToolCall] = ()


Event = TextDelta | SpeechChunk | Done


@dataclass(frozen=True)
class Reply:
    """A whole reply: float32 samples [n] in [-1, 1] at `rate` Hz, none where nothing was spoken."""

    text: str
    speech: np.ndarray
    rate: int
    done: Done


# Sees each piece of text before it is spoken: returns what to speak instead, None to hold it back for now
# (it comes again, with more behind it), and raises StopIteration to say no more. What is held when the text
# ends comes once more unchanged; None again means that it is never spoken.
Handoff = Callable[[str], str | None]
