"""Whether an hour of sound costs sixty times a minute: time and memory a minute, by how much is heard."""

import time
from dataclasses import dataclass
from functools import partial

from thinktalk.bench.machine import wait_for
from thinktalk.bench.memory import Peak
from thinktalk.bench.prompts import sound
from thinktalk.bench.rounds import interleaved, median
from thinktalk.bench.subject import Bench
from thinktalk.bench.table import Table
from thinktalk.rates import HEARING_RATE

PIECE = 10  # seconds that are fed at once, as a long file is read
MINUTE = 60
NOTE = "Medians. From samples at 16 kHz to audio tokens, fed by pieces. Memory is the highest beyond what it was before."


@dataclass(frozen=True)
class Hearing:
    """What it took to hear so many minutes; `peak` in bytes."""

    minutes: float
    seconds: float
    peak: int | None

    @property
    def a_minute(self) -> float:
        """Seconds of work for a minute."""
        return self.seconds / self.minutes


def long_audio(bench: Bench) -> list[Table]:
    """One table."""
    hearings = by_length(bench, bench.plan.minutes)
    rows = [
        (
            minutes,
            median(hearing.a_minute for hearing in measured),
            _megabytes(median(hearing.peak for hearing in measured)),
            _megabytes(median(None if h.peak is None else h.peak / h.minutes for h in measured)),
        )
        for minutes, measured in hearings.items()
    ]
    columns = ("minutes", "s a minute", "memory, MB", "MB a minute")
    return [Table("long_audio", "Hearing long sound", columns, rows, NOTE)]


def by_length(bench: Bench, minutes: tuple[float, ...]) -> dict[float, list[Hearing]]:
    """Each length heard in each round."""
    bench.tell(f"hearing {' and '.join(f'{length:g}' for length in minutes)} minutes")
    runs = {length: partial(hear, bench, length) for length in minutes}
    hear(bench, minutes[0])
    return interleaved(runs, bench.plan.rounds, warm=False)


def hear(bench: Bench, minutes: float) -> Hearing:
    """Encode so much sound, from first to last."""
    device = bench.subject.on
    piece = sound(PIECE)
    left = round(minutes * MINUTE * HEARING_RATE)
    peak = Peak(device)
    began = time.perf_counter()
    listener = bench.omni.listen()
    while left > 0:
        listener.feed(piece[:left])
        left -= len(piece)
    listener.heard()
    wait_for(device)
    return Hearing(minutes, time.perf_counter() - began, peak.above())


def _megabytes(size: float | None) -> float | None:
    return None if size is None else size / 1e6
