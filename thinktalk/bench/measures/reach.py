"""What is to be reached, and whether it is: ratios that hold on any machine, each with its bar."""

from collections.abc import Callable
from dataclasses import dataclass

from thinktalk.bench.measures.first_packet import latencies
from thinktalk.bench.measures.long_audio import by_length
from thinktalk.bench.measures.long_reply import ageing
from thinktalk.bench.measures.peers import side_by_side
from thinktalk.bench.measures.throughput import against_plain, replies
from thinktalk.bench.rounds import median, ratio
from thinktalk.bench.subject import Bench
from thinktalk.bench.systems import OURS, THEIRS
from thinktalk.bench.table import Cell, Table
from thinktalk.contracts import UserError

MANY = 4  # conversations at once, against one
COLUMNS = ("against", "measured", "bar", "reached")


@dataclass(frozen=True)
class Bar:
    """A ratio that is to be at least, or at most, so much."""

    what: str
    least: float | None = None
    most: float | None = None

    def row(self, value: float | None) -> tuple[Cell, ...]:
        """With what was measured; None where it could not be."""
        bar = f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"
        if value is None:
            return self.what, None, bar, None
        low, high = self.least or float("-inf"), self.most or float("inf")
        return self.what, value, bar, low <= value <= high


SOONER = Bar("transformers, time to first audio: times sooner", least=10)
FASTER = Bar("transformers, whole spoken reply, same codes: times faster", least=4)
LEANER = Bar("transformers, peak memory beyond the weights: ours / theirs", most=0.5)
BATCHED = Bar("our plain single path, {} conversations: times the frames/s", least=3)
SHARED = Bar(f"first audio at {MANY} conversations / at 1", most=2.5)
STEADY = Bar("time per frame late in a long reply / early", most=1.1)
LINEAR = Bar("encode time per minute, long sound / short", most=1.2)

# Of a model of the released shape on one GPU, against the report's own figures (its Table 2).
RELEASED = "30b-a3b"
FIRST_SOUND = {
    ("audio", 1): Bar("the report's 234 ms to first sound, audio: ms", most=100),
    ("video", 1): Bar("the report's 547 ms to first sound, video: ms", most=250),
    ("audio", 6): Bar("the report's 1172 ms to first sound, audio, 6 at once: ms", most=300),
}
PACE = Bar("the report's real-time factor of 0.47", most=0.15)


def reach(bench: Bench) -> list[Table]:
    """One table. What cannot be measured here has no figure, and the note says why."""
    notes: list[str] = []
    rows = [*_against_transformers(bench, notes), *_against_ourselves(bench, notes)]
    if bench.subject.shape == RELEASED:
        rows += _against_the_report(bench)
    note = "\n".join(["Medians of the ratios of interleaved runs.", *notes])
    return [Table("reach", "Reach", COLUMNS, rows, note)]


def _against_transformers(bench: Bench, notes: list[str]) -> list[tuple[Cell, ...]]:
    compared, missing = side_by_side(bench, (OURS, THEIRS))
    notes += missing
    theirs = next((each for each in compared if each.system == THEIRS), None)
    if theirs is None:
        return [SOONER.row(None), FASTER.row(None), LEANER.row(None)]
    if not theirs.same:
        notes.append("transformers gave another reply, so that its whole is not compared.")
    return [
        SOONER.row(theirs.first_audio),
        FASTER.row(theirs.total if theirs.same else None),
        LEANER.row(theirs.memory),
    ]


def _against_ourselves(bench: Bench, notes: list[str]) -> list[tuple[Cell, ...]]:
    plan = bench.plan

    def batched() -> float | None:
        rates = against_plain(bench)
        return ratio(rates.together, rates.plain)

    def shared() -> float | None:
        bench.tell(f"first audio of {MANY} conversations, and of one")
        first = latencies(bench, "audio", (1, MANY))
        return ratio(first[MANY], first[1])

    def steady() -> float | None:
        return ageing(bench).ratio

    def linear() -> float | None:
        short, long = plan.minutes[0], plan.minutes[-1]
        heard = by_length(bench, (short, long))
        return ratio((h.a_minute for h in heard[long]), (h.a_minute for h in heard[short]))

    crowd = Bar(BATCHED.what.format(plan.crowd), BATCHED.least)
    ages = f"{STEADY.what} ({plan.late:g} s / {plan.early:g} s)"
    lengths = f"{LINEAR.what} ({plan.minutes[-1]:g} / {plan.minutes[0]:g} min)"
    measured: list[tuple[Bar, Callable[[], float | None]]] = [
        (crowd, batched),
        (SHARED, shared),
        (Bar(ages, most=STEADY.most), steady),
        (Bar(lengths, most=LINEAR.most), linear),
    ]
    return [bar.row(_or_none(bar, measure, notes)) for bar, measure in measured]


def _against_the_report(bench: Bench) -> list[tuple[Cell, ...]]:
    rows = []
    for (kind, level), bar in FIRST_SOUND.items():
        seconds = median(latencies(bench, kind, (level,))[level])
        rows.append(bar.row(None if seconds is None else 1000 * seconds))
    courses = [course for _ in range(bench.plan.rounds) for course in replies(bench, 1)]
    return [*rows, PACE.row(median(course.real_time_factor for course in courses))]


def _or_none(bar: Bar, measure: Callable[[], float | None], notes: list[str]) -> float | None:
    try:
        return measure()
    except UserError as reason:
        notes.append(f"{bar.what}: {reason}.")
        return None
