"""How soon the first sound comes, stage by stage, by how many ask at once (Table 2 of the report)."""

import time
from functools import partial

from thinktalk.bench.crowd import Course, at_once, first_audio, limits
from thinktalk.bench.prompts import PROMPTS
from thinktalk.bench.rounds import interleaved, median
from thinktalk.bench.stages import CODE2WAV, ENCODERS, MTP, Call, StageClock
from thinktalk.bench.subject import Bench
from thinktalk.bench.table import Table

NOTE = (
    "Milliseconds, medians. All ask at the same moment. The last row is measured by itself; the rows above it in "
    "rounds of their own, in which the device is waited for before and after each stage."
)
STAGES = ("preprocessing", "Thinker, first token", "Talker, first code", "MTP, a frame", "codec, a frame")


def first_packet(bench: Bench) -> list[Table]:
    """A table for sound and one for film."""
    return [_table(bench, kind) for kind in PROMPTS]


def _table(bench: Bench, kind: str) -> Table:
    levels = bench.plan.levels
    bench.tell(f"first packet, {kind}")
    whole = latencies(bench, kind, levels)
    runs = {level: partial(_staged, bench, kind, level) for level in levels}
    staged = interleaved(runs, bench.plan.rounds, warm=False)
    rows = [
        (stage, *(_ms(median(run[number] for run in staged[level])) for level in levels))
        for number, stage in enumerate(STAGES)
    ]
    overall = ("overall", *(_ms(median(whole[level])) for level in levels))
    columns = (kind, *(f"{level} at once" for level in levels))
    return Table(f"first_packet_{kind}", f"First packet, {kind}", columns, [*rows, overall], NOTE)


def latencies(bench: Bench, kind: str, levels: tuple[int, ...]) -> dict[int, list[float]]:
    """Seconds to the first sound of the conversation in the middle, by how many ask at once, in each round."""
    runs = {level: partial(_first_audio, bench, kind, level) for level in levels}
    return interleaved(runs, bench.plan.rounds)


def _first_audio(bench: Bench, kind: str, level: int) -> float:
    return first_audio(ask(bench, kind, level)) or float("nan")


def ask(bench: Bench, kind: str, level: int) -> list[Course]:
    """`level` conversations up to their first sound, each with a seed of its own."""
    omni, messages = bench.omni, PROMPTS[kind]()
    seeds = range(bench.subject.seed, bench.subject.seed + level)
    streams = [partial(omni.astream, messages, seed=seed, **limits(bench.plan)) for seed in seeds]
    return at_once(streams, first_only=True)


def _staged(bench: Bench, kind: str, level: int) -> list[float | None]:
    """Seconds of each of `STAGES`, of conversations in the middle."""
    with StageClock(bench.omni.model) as clock:
        began = time.perf_counter()
        courses = ask(bench, kind, level)
    prepared = _ready(clock, began)
    text, audio = median(course.first_text for course in courses), first_audio(courses)
    mtp, codec = clock.seconds(MTP), clock.seconds(CODE2WAV)
    return [
        prepared,
        _less(text, prepared),
        _less(audio, text, mtp, codec),
        mtp,
        codec,
    ]


def _ready(clock: StageClock, began: float) -> float | None:
    """When the conversation in the middle had been seen and heard: after the later of both encoders."""

    def middle(calls: list[Call]) -> float | None:
        return median(call.ended - began for call in calls for _ in range(call.rows))

    ends = [middle(clock.of(stage)) for stage in ENCODERS]
    return max((end for end in ends if end is not None), default=None)


def _less(whole: float | None, *parts: float | None) -> float | None:
    known = [part for part in parts if part is not None]
    return whole - sum(known) if whole is not None and len(known) == len(parts) else None


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds
