"""How much work a second of speech takes once it has begun, and whether whoever listens hears gaps."""

from functools import partial

from thinktalk.bench.crowd import Course
from thinktalk.bench.measures.throughput import replies
from thinktalk.bench.rounds import interleaved, median
from thinktalk.bench.subject import Bench
from thinktalk.bench.table import Table

NOTE = (
    "Seconds from one frame to the next, in frames of 80 ms; below 1 speech is faster than it is heard. "
    "A gap is the silence that a listener hears who plays each frame as it comes."
)


def realtime_factor(bench: Bench) -> list[Table]:
    """One table."""
    bench.tell("real-time factor")
    levels = bench.plan.levels
    runs = {level: partial(replies, bench, level) for level in levels}
    rounds = interleaved(runs, bench.plan.rounds)
    rows = [_row(level, [course for courses in rounds[level] for course in courses]) for level in levels]
    columns = ("at once", "real-time factor", "slowest", "longest gap, ms")
    return [Table("realtime_factor", "Real-time factor", columns, rows, NOTE)]


def _row(level: int, courses: list[Course]) -> tuple[int, float | None, float | None, float]:
    factors = [factor for course in courses if (factor := course.real_time_factor) is not None]
    silence = max(course.silence for course in courses)
    return level, median(factors), max(factors, default=None), 1000 * silence
