"""The same weights and prompt by transformers: whole spoken replies, greedy."""

from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from thinktalk.bench.rounds import interleaved, median, ratio
from thinktalk.bench.subject import Bench
from thinktalk.bench.systems import OURS, THEIRS, Replied, System
from thinktalk.bench.table import Table
from thinktalk.contracts import UserError

ALIKE = 1e-3  # the most by which samples of the same codes differ
NOTE = (
    "Medians of interleaved runs, each system in a process of its own. transformers does not stream: its first sound "
    "comes with its last. Memory is the highest beyond what the process takes between replies, weights and all."
)


@dataclass(frozen=True)
class Compared:
    """What a system took in each round, against ours in the same round."""

    system: str
    replies: list[Replied]
    peak: int | None
    same: bool  # the same text and sound as ours
    first_audio: float | None  # how many times ours is sooner
    total: float | None  # and done earlier
    memory: float | None  # ours over its


def peers(bench: Bench) -> list[Table]:
    """One table."""
    compared, missing = side_by_side(bench, (OURS, THEIRS))
    rows = [
        (
            each.system,
            median(reply.first_audio for reply in each.replies),
            median(reply.total for reply in each.replies),
            None if each.peak is None else each.peak / 1e6,
            each.first_audio,
            each.total,
            each.same,
        )
        for each in compared
    ]
    columns = ("system", "first sound, s", "whole, s", "memory, MB", "sooner", "faster", "same")
    return [Table("peers", "Side by side", columns, rows, "\n".join([NOTE, *missing]))]


def side_by_side(bench: Bench, systems: tuple[str, ...]) -> tuple[list[Compared], list[str]]:
    """Each system against ours, which is the first of `systems`; and of those that are not there, why."""
    missing: list[str] = []
    with ExitStack() as stack:
        there: dict[str, System] = {}
        for name in systems:
            bench.tell(f"loading {name} in a process of its own")
            try:
                there[name] = stack.enter_context(System(name, bench.subject, bench.plan))
            except UserError as reason:
                if name == OURS:
                    raise
                missing.append(f"{name} is left out: {reason}.")
        bench.tell(f"whole replies by {', '.join(there)}")
        replies = interleaved({name: system.reply for name, system in there.items()}, bench.plan.rounds)
        ours = replies[OURS], there[OURS].peak
        return [_compare(name, replies[name], there[name].peak, *ours) for name in there], missing


def _compare(
    system: str, replies: list[Replied], peak: int | None, ours: list[Replied], our_peak: int | None
) -> Compared:
    return Compared(
        system,
        replies,
        peak,
        same=all(_alike(a, b) for a, b in zip(replies, ours, strict=True)),
        first_audio=ratio((r.first_audio for r in replies), (r.first_audio for r in ours)),
        total=ratio((r.total for r in replies), (r.total for r in ours)),
        memory=our_peak / peak if peak and our_peak is not None else None,
    )


def _alike(one: Replied, other: Replied) -> bool:
    """The same text, and the same sound for as long as both speak; one may have a frame more."""
    length = min(len(one.speech), len(other.speech))
    close = np.allclose(one.speech[:length], other.speech[:length], rtol=0, atol=ALIKE)
    return one.text == other.text and length > 0 and bool(close)
