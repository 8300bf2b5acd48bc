"""The command run in this process, with an engine that replies by the book."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from thinktalk.cli.main import main
from thinktalk.contracts import Done, Event, Message, SpeechChunk, TextDelta, Timings, Usage, UserError
from thinktalk.engine.defaults import Defaults
from thinktalk.engine.sampler import Sampling
from thinktalk.media.audio import save_audio
from thinktalk.rates import FRAME_SAMPLES, HEARING_RATE, SPEAKING_RATE


class FakeStream:
    def __init__(self, events: Iterator[Event]) -> None:
        self.events = events

    def __enter__(self) -> "FakeStream":
        return self

    def __exit__(self, *_: object) -> None: ...

    def __iter__(self) -> Iterator[Event]:
        return self.events


@dataclass
class FakeOmni:
    """Replies with `words`, a frame of speech after each, and remembers what it was asked."""

    words: list[str] = field(default_factory=lambda: ["Hello", " there."])
    fails: BaseException | None = None  # raised after the first word
    finish: str = "stop"
    loaded: list[tuple[str, bool]] = field(default_factory=list)
    bits: Literal[8, 4] | None = None
    asked: list[tuple[Any, dict[str, Any]]] = field(default_factory=list)
    defaults = Defaults(text=Sampling(temperature=0.7, top_k=20))

    def from_pretrained(
        self, model: str, *, speech: bool = True, bits: Literal[8, 4] | None = None
    ) -> "FakeOmni":
        if model != "nano":
            raise UserError(f"there is no folder {model}")
        self.loaded.append((model, speech))
        self.bits = bits
        return self

    def stream(self, messages: list[Message], *, speech: bool = True, **how: Any) -> FakeStream:
        self.asked.append((messages, {"speech": speech, **how}))
        return FakeStream(self.events(speech))

    def say(self, text: str, **how: Any) -> FakeStream:
        self.asked.append((text, how))
        return FakeStream(event for event in self.events(True) if not isinstance(event, TextDelta))

    def events(self, speech: bool) -> Iterator[Event]:
        for frame, word in enumerate(self.words):
            yield TextDelta(word)
            if speech:
                yield SpeechChunk(np.full(FRAME_SAMPLES, 0.25, np.float32), SPEAKING_RATE, frame)
            if self.fails:
                raise self.fails
        frames = len(self.words) if speech else 0
        timings = Timings(0.25, 0.5 if speech else None, 1.0, frames * 0.08)
        yield Done("".join(self.words), self.finish, Usage(7, len(self.words), frames), timings)  # type: ignore[arg-type]

    @property
    def turns(self) -> list[Message]:
        """The messages of the last request."""
        return self.asked[-1][0]


@pytest.fixture
def omni(monkeypatch: pytest.MonkeyPatch) -> FakeOmni:
    fake = FakeOmni()
    monkeypatch.setattr("thinktalk.cli.reply.Omni", fake)
    return fake


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line of a command that the user can mend."""
        assert self.code == 2, self
        assert self.out == "", self
        (line,) = self.err.splitlines()
        assert line.startswith("thinktalk: ")
        return line


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """run("ask", "hello") -> exit code and what was printed."""

    def run(*arguments: object) -> Ran:
        code = main([str(argument) for argument in arguments])
        return Ran(code, *capsys.readouterr())

    return run


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """Two seconds of 440 Hz at 16 kHz."""
    time = np.arange(2 * HEARING_RATE, dtype=np.float32) / HEARING_RATE
    save_audio(tmp_path / "tone.wav", 0.3 * np.sin(2 * math.pi * 440 * time), HEARING_RATE)
    return tmp_path / "tone.wav"
