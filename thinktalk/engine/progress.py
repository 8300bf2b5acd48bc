"""How far a reply has come: what is left of a request when its state is gone."""

import time
from dataclasses import dataclass, field

from thinktalk.contracts import Done, FinishReason, SpeechChunk, TextDelta, Timings, ToolCall, Usage
from thinktalk.models.qwen3_omni.reply import Piece


@dataclass
class Progress:
    """What has come of a request so far: its text, counts and times."""

    began: float | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    text_tokens: int = 0
    speech_frames: int = 0
    speech_seconds: float = 0.0
    to_speak: bool = False
    first_text: float | None = None
    first_audio: float | None = None
    text: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)

    def begin(self) -> None:
        """The clock starts at the first call."""
        if self.began is None:
            self.began = time.perf_counter()

    def wrote(self, piece: Piece) -> None:
        if isinstance(piece, ToolCall):
            self.tool_calls.append(piece)
        elif isinstance(piece, TextDelta):
            if self.first_text is None:
                self.first_text = self._elapsed()
            self.text.append(piece.text)
        else:
            self.thinking.append(piece.text)

    def spoke(self, chunk: SpeechChunk) -> None:
        if self.first_audio is None:
            self.first_audio = self._elapsed()
        self.speech_frames += 1
        self.speech_seconds += len(chunk.samples) / chunk.rate

    def done(self, reason: FinishReason) -> Done:
        usage = Usage(self.prompt_tokens, self.text_tokens, self.speech_frames, self.cached_tokens)
        timings = Timings(self.first_text, self.first_audio, self._elapsed(), self.speech_seconds)
        text, thinking = "".join(self.text), "".join(self.thinking).strip("\n")
        return Done(text, reason, usage, timings, thinking, tuple(self.tool_calls))

    def _elapsed(self) -> float:
        return time.perf_counter() - self.began if self.began is not None else 0.0
