"""Synthesise the speech nano learns from, and read it back.

    python -m thinktalk.synthesis.corpus --out DIR [--speak-hours 12] [--hear-hours 18] [--kokoro-hours 0.7]

`DIR/<corpus>/<i>.i16` holds the samples of some 400 clips end to end, `<i>.jsonl` one line about each.
A shard depends on (seed, corpus, i) alone and its index appears last, so a stopped run goes on where it
was and a reader may open the corpus while it grows.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import count, cycle
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from thinktalk.contracts import UserError
from thinktalk.rates import HEARING_RATE, SPEAKING_RATE
from thinktalk.synthesis.engines import Engine
from thinktalk.synthesis.shows import MAKERS, shows
from thinktalk.synthesis.voices import NANO, Voice, speak, voices
from thinktalk.synthesis.world import Exchange, dictation, exchanges, normalise, plain_sentences, sentences

RATE_HZ: dict[str, int] = {
    "speak": SPEAKING_RATE,
    "hear": HEARING_RATE,
    "kokoro": HEARING_RATE,
    "test_speak": SPEAKING_RATE,
    "test_hear": HEARING_RATE,
    "test_flite": HEARING_RATE,
    "test_pico": HEARING_RATE,
    "test_piper": HEARING_RATE,
}
UNHEARD: tuple[Engine, ...] = ("flite", "pico", "piper")  # engines, each with a test of its own
TESTS = ("test_speak", "test_hear", *(f"test_{engine}" for engine in UNHEARD))  # one shard each
CLIPS_PER_SHARD = {
    **dict.fromkeys(TESTS, 240),
    "test_speak": 120,
    "speak": 400,
    "hear": 400,
    "kokoro": 100,  # it is slow: a shard is minutes, too
}
FIRST_SPEAK_HOURS = 3.0  # of speech before anything is heard: the codec's training waits for it

_READ_SHARE = 0.35  # of what is heard, the share that asks nothing
_NANO_SHARE = 0.4
_SHOWN_SHARE = 0.06  # of what nano learns to say, the share of things shown, in ever the same words
_SPEED = (0.85, 1.2)
_MAX_INT16 = 32767


@dataclass(frozen=True)
class Clip:
    """One utterance. `question` and `answer` are "" where nothing is asked."""

    wave: np.ndarray  # (samples,) float32 in [-1, 1]
    text: str
    voice: str
    kind: str
    question: str
    answer: str


class Corpus:
    """The complete shards found in a corpus folder at the moment of opening, memory-mapped."""

    def __init__(self, directory: Path | str) -> None:
        folder = Path(directory)
        self.rate_hz = RATE_HZ[folder.name]
        self._clips: list[tuple[int, dict]] = []
        self._shards: list[np.ndarray] = []
        for index in sorted(folder.glob("*.jsonl")):
            lines = index.read_text().splitlines()
            self._clips += [(len(self._shards), json.loads(line)) for line in lines]
            self._shards.append(np.memmap(index.with_suffix(".i16"), np.int16, "r"))
        if not self._clips:
            raise UserError(
                f"no speech in {folder}: run python -m thinktalk.synthesis.corpus --out {folder.parent}"
            )

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, i: int) -> Clip:
        shard, line = self._clips[i]
        samples = self._shards[shard][line["offset"] : line["offset"] + line["samples"]]
        wave = samples.astype(np.float32) / _MAX_INT16
        return Clip(wave, line["text"], line["voice"], line["kind"], line["question"], line["answer"])

    def __iter__(self) -> Iterator[Clip]:
        return (self[i] for i in range(len(self)))

    def samples(self, i: int) -> int:
        """The length of clip `i`, without reading it."""
        return self._clips[i][1]["samples"]

    def kind(self, i: int) -> str:
        """The kind of clip `i`, without reading it."""
        return self._clips[i][1]["kind"]

    @property
    def hours(self) -> float:
        return sum(len(shard) for shard in self._shards) / self.rate_hz / 3600


# ------------------------------------------------------------------------------------- what is said

T = TypeVar("T")
Line = tuple[Voice, float, Exchange]  # speaker, speed, what is said (as the question; see `_read`)


def _read(text: str) -> Exchange:
    return Exchange("read", text, "")


def script(corpus: str, shard: int, seed: int, clips: int | None = None) -> Iterator[Line]:
    """What the clips of one shard say, by whom and how fast. All tests of hearing say the same."""
    asking = corpus in TESTS and corpus != "test_speak"
    rng = random.Random(f"{'test_hear' if asking else corpus} {shard} {seed}")
    text_seed = rng.getrandbits(32)
    clips = clips or CLIPS_PER_SHARD[corpus]
    if corpus == "speak":
        said, seen = sentences("train", text_seed), _shown(text_seed)
        for _ in range(clips):
            yield NANO, 1.0, _read(next(seen if rng.random() < _SHOWN_SHARE else said))
    elif corpus in ("hear", "kokoro"):
        asked, told = exchanges("train", text_seed), dictation(text_seed)
        others = voices("espeak-ng" if corpus == "hear" else "kokoro")
        nanos_share = _NANO_SHARE if corpus == "hear" else 0.0
        for _ in range(clips):
            said = _read(next(told)) if rng.random() < _READ_SHARE else next(asked)
            voice = NANO if rng.random() < nanos_share else rng.choice(others)
            yield voice, rng.uniform(*_SPEED), said
    elif corpus == "test_speak":
        for text in _distinct(plain_sentences("test", text_seed), clips):
            yield NANO, 1.0, _read(text)
    elif corpus == "test_hear":
        for i, said in enumerate(_distinct(exchanges("test", text_seed), clips)):
            yield NANO if i % 5 < 2 else rng.choice(voices("espeak-ng")), 1.0, said
    else:
        speakers = [voice for engine in UNHEARD if corpus == f"test_{engine}" for voice in voices(engine)]
        for voice, said in zip(cycle(speakers), _distinct(exchanges("test", text_seed), clips), strict=False):
            yield voice, 1.0, said


def development(count: int, seed: int = 0) -> list[str]:
    """Held-out sentences for what is decided while training goes on: never trained on, and in no test of `seed`."""
    tests = [line for test in ("test_speak", "test_hear") for line in script(test, 0, seed)]
    tested = {normalise(said.answer or said.question) for _, _, said in tests}
    drawn = plain_sentences("test", random.Random(f"development {seed}").getrandbits(32))
    return _distinct((text for text in drawn if normalise(text) not in tested), count)


def _shown(seed: int) -> Iterator[str]:
    """What nano says of pictures, films and sounds, without end."""
    kinds = cycle(MAKERS)
    for i in count():
        yield shows(next(kinds), "train", i + 1, seed)[i].answer


def _distinct(items: Iterator[T], count: int) -> list[T]:
    seen: dict[T, None] = {}
    while len(seen) < count:
        seen[next(items)] = None
    return list(seen)


# ------------------------------------------------------------------------------------- synthesis


def write_shard(out: Path, corpus: str, shard: int, seed: int, clips: int | None = None) -> float:
    """Synthesises one shard and returns its hours. The index is renamed into place last."""
    path = out / corpus / f"{shard:04d}"
    path.parent.mkdir(parents=True, exist_ok=True)
    waves, lines, offset = [], [], 0
    for voice, speed, said in script(corpus, shard, seed, clips):
        wave = speak(voice, said.question, RATE_HZ[corpus], speed)
        waves.append((wave * _MAX_INT16).astype("<i2"))
        question = "" if said.kind == "read" else said.question
        line = {"offset": offset, "samples": len(wave), "text": said.question, "voice": voice.name}
        lines.append(json.dumps(line | {"kind": said.kind, "question": question, "answer": said.answer}))
        offset += len(wave)
    _write(path.with_suffix(".i16"), np.concatenate(waves).tobytes())
    _write(path.with_suffix(".jsonl"), "\n".join(lines).encode())
    return offset / RATE_HZ[corpus] / 3600


def _write(path: Path, data: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    os.replace(partial, path)


def _plan(hours: dict[str, float], target: dict[str, float]) -> str | None:
    """The corpus the next shard belongs to: some speaking, then whichever is furthest behind."""
    if hours["speak"] < min(FIRST_SPEAK_HOURS, target["speak"]):
        return "speak"
    share, corpus = min((hours[c] / target[c] if target[c] else 1.0, c) for c in target)
    return corpus if share < 1 else None


def synthesise(
    out: Annotated[Path, typer.Option(help="folder of the corpora")],
    speak_hours: Annotated[float, typer.Option(help="hours of nano's own voice")] = 12.0,
    hear_hours: Annotated[float, typer.Option(help="hours of questions in many voices")] = 18.0,
    kokoro_hours: Annotated[float, typer.Option(help="hours of questions in natural voices, slow")] = 0.7,
    workers: Annotated[int, typer.Option(help="processes, one thread each")] = 2,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Synthesise what is to be learnt from under OUT; a run that was stopped goes on where it was."""
    target = {"speak": speak_hours, "hear": hear_hours, "kokoro": kokoro_hours}
    begun = {corpus: {int(p.stem) for p in (out / corpus).glob("*.jsonl")} for corpus in target}
    hours = {corpus: Corpus(out / corpus).hours if begun[corpus] else 0.0 for corpus in target}
    typical_hours = {
        c: CLIPS_PER_SHARD[c] * 2.3 / 3600 for c in target
    }  # what a shard under way is counted as
    started, made = time.monotonic(), 0.0
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.2f}/{task.total} h"),
    )
    with ProcessPoolExecutor(workers) as pool, Progress(*columns, TimeElapsedColumn()) as progress:
        bars = {c: progress.add_task(c, total=target[c]) for c in target}
        for c, bar in bars.items():
            progress.update(bar, completed=hours[c])
        running: dict[Future[float], tuple[str, int]] = {}
        while True:
            while len(running) < workers and (corpus := _plan(hours, target)):
                shard = min(set(range(len(begun[corpus]) + 1)) - begun[corpus])
                begun[corpus].add(shard)
                hours[corpus] += typical_hours[corpus]
                running[pool.submit(write_shard, out, corpus, shard, seed)] = (corpus, shard)
            if not running:
                break
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                corpus, shard = running.pop(done)
                hours[corpus] += done.result() - typical_hours[corpus]
                made += done.result()
                rate = made * 3600 / (time.monotonic() - started)
                progress.console.print(
                    f"{corpus}/{shard:04d}  {hours[corpus]:.2f} h  ({rate:.0f} x real time)"
                )
                progress.update(bars[corpus], completed=hours[corpus])


if __name__ == "__main__":
    try:
        typer.run(synthesise)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
