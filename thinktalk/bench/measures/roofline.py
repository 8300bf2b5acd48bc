"""How near each stage comes to the least time that this machine could take for it."""

from dataclasses import asdict

from thinktalk.bench.machine import Speed, speed
from thinktalk.bench.measures.throughput import replies
from thinktalk.bench.prompts import question
from thinktalk.bench.roofline import Roofline, Work
from thinktalk.bench.stages import CODE2WAV, MTP, TALKER, THINKER, StageClock
from thinktalk.bench.subject import Bench
from thinktalk.bench.table import Table
from thinktalk.nn.steady import ROWS
from thinktalk.rates import HEARING_RATE

COLUMNS = ("stage", "ms", "MB read", "MFLOP", "FLOP/byte", "least ms", "share")


def roofline(bench: Bench) -> list[Table]:
    """One table, of one conversation."""
    bench.tell("roofline")
    device, weight = bench.subject.on, next(bench.omni.model.parameters())
    limit = speed(device, weight.dtype)
    rows = [_row(stage, seconds, work, limit) for stage, seconds, work in _steps(bench)]
    note = (
        f"One conversation. This machine reads {limit.bandwidth / 1e9:.1f} GB/s and does "
        f"{limit.flops / 1e9:,.0f} GFLOP/s in {str(weight.dtype).removeprefix('torch.')}, as measured here; the share "
        "of a stage is the least time in which it could be done so, over that which it takes. Weights that stay in "
        "a cache are read faster than that."
    )
    return [Table("roofline", "Roofline", COLUMNS, rows, note, asdict(limit))]


def _steps(bench: Bench) -> list[tuple[str, float | None, Work]]:
    model = bench.omni.model
    work = Roofline(model, next(model.parameters()).itemsize)
    replies(bench, 1)
    with StageClock(model) as clock:
        courses = [course for _ in range(bench.plan.rounds) for course in replies(bench, 1)]
    length = courses[0].prompt + courses[0].tokens // 2
    spoken = courses[0].prompt + len(courses[0].frames) // 2
    return [  # a step of one conversation is filled up to `ROWS`; a prompt has more
        ("audio encoder", clock.seconds("audio encoder"), work.hearing(len(question()) / HEARING_RATE)),
        ("Thinker, a token", clock.seconds(THINKER, ROWS), work.thinker(1, length)),
        ("Talker, a frame", clock.seconds(TALKER, ROWS), work.talker(1, spoken)),
        ("MTP, a frame", clock.seconds(MTP), work.mtp(1)),
        ("Code2Wav, a frame", clock.seconds(CODE2WAV), work.code2wav(1)),
    ]


def _row(stage: str, seconds: float | None, work: Work, limit: Speed) -> tuple[str | float | None, ...]:
    least = work.least(limit)
    return (
        stage,
        None if seconds is None else 1000 * seconds,
        work.bytes / 1e6,
        work.flops / 1e6,
        work.intensity,
        1000 * least,
        None if seconds is None else least / seconds,
    )
