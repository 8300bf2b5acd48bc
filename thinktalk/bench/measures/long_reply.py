"""Whether the ten-thousandth frame of a reply takes longer than the hundredth."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch

from thinktalk.bench.crowd import FRAME, Course, at_once
from thinktalk.bench.prompts import speech
from thinktalk.bench.rounds import median
from thinktalk.bench.subject import Bench
from thinktalk.bench.table import Table
from thinktalk.contracts import UserError
from thinktalk.engine.sampler import GREEDY

AROUND = 0.05  # a place in a reply is so much of the time up to it, before and after
NOTE = (
    "Median milliseconds from one frame to the next in one long reply, and in replies that end just after the "
    "first place, before and after it in time: their first place is what the last is held against."
)


@dataclass(frozen=True)
class Ageing:
    """Seconds a frame at places of a long reply, and around the first place in short ones."""

    places: dict[float, float | None]
    fresh: float | None

    @property
    def ratio(self) -> float | None:
        """The last place against the first."""
        last = list(self.places.values())[-1]
        return last / self.fresh if last is not None and self.fresh else None


def long_reply(bench: Bench) -> list[Table]:
    """One table."""
    aged = ageing(bench)
    rows = [(_clock(place), _ms(seconds)) for place, seconds in aged.places.items()]
    rows += [("fresh replies", _ms(aged.fresh)), ("last / fresh", aged.ratio)]
    return [Table("long_reply", "A long reply", ("at", "ms a frame"), rows, NOTE)]


def ageing(bench: Bench) -> Ageing:
    """Speak until `plan.late`, and a little before and after that only until `plan.early`.

    Raises UserError where speech ended before.
    """
    early, late = bench.plan.early, bench.plan.late
    bench.tell(f"speaking for {late:g} s")
    with tireless(bench):
        fresh = [_speak(bench, early) for _ in range(bench.plan.rounds)]
        long = _speak(bench, late)
        fresh += [_speak(bench, early) for _ in range(bench.plan.rounds)]
    middle = (early * late) ** 0.5
    places = {place: _a_frame(long, place) for place in (early, middle, late)}
    return Ageing(places, median(_a_frame(course, early) for course in fresh[1:]))


@contextmanager
def tireless(bench: Bench) -> Iterator[None]:
    """Within the block the Talker does not end its speech; how long that is, is up to who asks."""
    model = bench.omni.model
    row = model.talker.codec_head.weight[model.config.talker_config.codec_eos_token_id]
    before = row.detach().clone()
    with torch.no_grad():
        row.zero_()  # greedily, some code is always likelier
    try:
        yield
    finally:
        with torch.no_grad():
            row.copy_(before)


def _speak(bench: Bench, place: float) -> Course:
    """A text read aloud until just after a place, in seconds."""
    frames = round(place / FRAME) + _around(place) + 1
    options = {"max_speech_seconds": frames * FRAME, "speech_sampling": GREEDY}
    (course,) = at_once([partial(bench.omni.asay, speech(frames), **options)])
    if len(course.frames) < frames:
        raise UserError(
            f"speech ended after {len(course.frames)} of {frames} frames, so a long reply cannot be measured"
        )
    return course


def _a_frame(course: Course, place: float) -> float | None:
    middle, around = round(place / FRAME), _around(place)
    return median(b - a for a, b in pairwise(course.frames[middle - around : middle + around + 1]))


def _around(place: float) -> int:
    """Frames before and after a place that count as there."""
    return max(2, round(AROUND * place / FRAME))


def _clock(place: float) -> str:
    minutes, seconds = divmod(round(place), 60)
    return f"{minutes}:{seconds:02}"


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds
