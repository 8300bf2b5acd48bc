"""How long it takes from nothing to the first sound: a new process, imports, weights, a question."""

from functools import partial

from thinktalk.bench.rounds import interleaved, median
from thinktalk.bench.subject import Bench
from thinktalk.bench.systems import OURS, THEIRS, System
from thinktalk.bench.table import Table
from thinktalk.contracts import UserError

NOTE = (
    "Medians, in seconds since the process was begun. Files that were read before are in the system's cache."
)


def cold_start(bench: Bench) -> list[Table]:
    """One table."""
    rows, missing = [], []
    starts = {}
    for system in (OURS, THEIRS):
        bench.tell(f"cold start of {system}")
        try:
            _start(bench, system)  # what is on the disk is now in the cache
        except UserError as reason:
            if system == OURS:
                raise
            missing.append(f"{system} is left out: {reason}.")
            continue
        starts[system] = partial(_start, bench, system)
    rounds = interleaved(starts, bench.plan.rounds, warm=False)
    for system, measured in rounds.items():
        ready, first = zip(*measured, strict=True)
        rows.append((system, median(ready), median(first)))
    columns = ("system", "loaded", "first sound")
    return [Table("cold_start", "Cold start", columns, rows, "\n".join([NOTE, *missing]))]


def _start(bench: Bench, system: str) -> tuple[float, float]:
    with System(system, bench.subject, bench.plan) as started:
        reply = started.reply()
        return started.ready, started.ready + reply.first_audio
