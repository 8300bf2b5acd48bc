"""How much is written and spoken in a second, by how many talk at once."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from thinktalk.bench.crowd import Course, at_once, limits
from thinktalk.bench.prompts import heard
from thinktalk.bench.rounds import interleaved, median, ratio
from thinktalk.bench.subject import Bench
from thinktalk.bench.table import Table
from thinktalk.engine import ways

NOTE = (
    "Medians. Whole replies to a recorded question, all asked at the same moment, from then to the end of the last; "
    "text is that of replies without speech."
)

ABLATION = (
    "Medians of interleaved runs in one process. Plain is torch alone, and one conversation after the other, each driven "
    "by `Omni.stream`."
)


def throughput(bench: Bench) -> list[Table]:
    """By how many talk at once; and what it brings that they are carried together."""
    levels, rounds = bench.plan.levels, bench.plan.rounds
    bench.tell("throughput")
    runs = {
        (level, speech): partial(rate, bench, level, speech) for level in levels for speech in (False, True)
    }
    rates = interleaved(runs, rounds)
    rows = [
        (level, words, _each(words, level), frames, _each(frames, level))
        for level in levels
        for words, frames in [(median(rates[level, False]), median(rates[level, True]))]
    ]
    columns = ("at once", "tokens/s", "tokens/s each", "frames/s", "frames/s each")
    return [Table("throughput", "Throughput", columns, rows, NOTE), _ablation(bench)]


def rate(bench: Bench, level: int, speech: bool = True) -> float:
    """Frames a second of `level` conversations together; without `speech`, tokens."""
    courses = replies(bench, level, speech)
    made = sum(len(course.frames) if speech else course.tokens for course in courses)
    return made / max(course.end for course in courses)


def replies(bench: Bench, level: int, speech: bool = True) -> Sequence[Course]:
    """`level` conversations to their ends, each with a seed of its own."""
    streams = [partial(bench.omni.astream, heard(), speech=speech, **how) for how in _options(bench, level)]
    return at_once(streams)


def _options(bench: Bench, level: int) -> list[dict[str, Any]]:
    return [{"seed": bench.subject.seed + number, **limits(bench.plan)} for number in range(level)]


@dataclass(frozen=True)
class Rates:
    """Frames a second of the same conversations in each round, by how they were carried."""

    together: list[float]
    alone: list[float]  # one after the other
    together_plainly: list[float]  # without kernels
    plain: list[float]  # one after the other, without kernels


def against_plain(bench: Bench) -> Rates:
    """`plan.crowd` conversations with and without each of what makes them fast."""
    crowd = bench.plan.crowd
    bench.tell(f"{crowd} conversations together, and one after the other")
    runs: dict[str, Callable[[], float]] = {
        "together": partial(rate, bench, crowd),
        "alone": partial(_alone, bench, crowd),
        "together_plainly": partial(_plainly, bench, partial(rate, bench, crowd)),
        "plain": partial(_plainly, bench, partial(_alone, bench, crowd)),
    }
    return Rates(**interleaved(runs, bench.plan.rounds))


def _alone(bench: Bench, level: int) -> float:
    """Frames a second of conversations that are each driven alone by `Omni.stream` once the last has ended."""
    began, frames = time.perf_counter(), 0
    for options in _options(bench, level):
        frames += bench.omni.reply(heard(), **options).done.usage.speech_frames
    return frames / (time.perf_counter() - began)


def _plainly(bench: Bench, run: Callable[[], float]) -> float:
    with ways.plainly(bench.omni.model):
        return run()


def _ablation(bench: Bench) -> Table:
    rates = against_plain(bench)
    rows = [
        ("plain", median(rates.plain), 1.0),
        ("carried together", median(rates.together_plainly), ratio(rates.together_plainly, rates.plain)),
        ("by kernels", median(rates.alone), ratio(rates.alone, rates.plain)),
        ("by kernels, together", median(rates.together), ratio(rates.together, rates.plain)),
    ]
    title = f"{bench.plan.crowd} conversations, with and without what makes them fast"
    columns = (f"{bench.plan.crowd} conversations", "frames/s", "times")
    return Table("together", title, columns, rows, ABLATION)


def _each(rate: float | None, level: int) -> float | None:
    return None if rate is None else rate / level
