"""What is measured, on whom, and what comes out of it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import soxr

from thinktalk.contracts import Audio, Message, Reply, Text, UserError
from thinktalk.rates import HEARING_RATE, SPEAKING_RATE
from thinktalk.synthesis import corpus
from thinktalk.synthesis.corpus import Corpus
from thinktalk.synthesis.world import TRANSCRIBE

T = TypeVar("T")


@dataclass(frozen=True)
class Subject:
    """Who is measured. Generation is reached through these alone.

    ask(message, speech): the reply to one turn, spoken too if `speech`. say(text, voice): samples at 24 kHz, read aloud
    by one of `voices`, by the first of them unless said. through_codec(samples at 24 kHz): the same through analysis
    codec and Code2Wav; None without an analysis codec.
    """

    ask: Callable[[Message, bool], Reply]
    say: Callable[..., np.ndarray]
    through_codec: Callable[[np.ndarray], np.ndarray] | None = None
    voices: Sequence[str] = ()

    def transcribe(self, wave: np.ndarray) -> str:
        """What is said in samples at 16 kHz."""
        return self.ask(Message("user", [Audio(wave, HEARING_RATE), Text(TRANSCRIBE)]), False).text


@dataclass(frozen=True)
class Row:
    """One figure, in per cent: what was reached, of how many, what was aimed at, and what the judge alone gets wrong.

    Without a value, the reason says why nothing was measured.
    """

    what: str
    value: float | None
    count: int
    bar: str = ""
    floor: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class HeldOut:
    """The held-out sets of a seed, at most `count` examples of each; recordings are made in `folder` when first asked for.

    `watch` shows progress: it goes through a sequence under a name.
    """

    folder: Path
    count: int
    seed: int
    watch: Callable[[Iterable, str], Iterable]

    def recordings(self, name: str) -> Corpus:
        """One of `corpus.TESTS`."""
        if not list((self.folder / name).glob("*.jsonl")):
            clips = min(self.count, corpus.CLIPS_PER_SHARD[name])
            corpus.write_shard(self.folder, name, 0, self.seed, clips)
        return Corpus(self.folder / name)


class Task(Protocol):
    """Measures a subject on what was held out."""

    def __call__(self, subject: Subject, held_out: HeldOut) -> Iterable[Row]: ...


def run(subject: Subject, tasks: Sequence[tuple[str, Task]], held_out: HeldOut) -> list[Row]:
    """The rows of all tasks. Raises UserError where there is none, or a judge is missing."""
    if not tasks:
        raise UserError("there is nothing to measure; name a task")
    return [row for _, task in tasks for row in task(subject, held_out)]


def for_judge(wave: np.ndarray) -> np.ndarray:
    """Speech at 24 kHz as judges want it, at 16 kHz."""
    return soxr.resample(wave, SPEAKING_RATE, HEARING_RATE).astype(np.float32)
