"""Questions about pictures, films, sounds, and films with sound: right are replies of the right words, in writing.

Combinations of facts (a colour with a shape, an order of three things) are held out from training, and pixels and
samples are new.
"""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from thinktalk.eval.task import HeldOut, Row, Subject
from thinktalk.eval.wer import plain_words
from thinktalk.synthesis.shows import asked, shows


def pictures(subject: Subject, held_out: HeldOut) -> Iterator[Row]:
    """Colour, shape, number, place, digits and words."""
    yield from _shown(subject, held_out, "picture", "questions about pictures", "≥ 90 %")


def films(subject: Subject, held_out: HeldOut) -> Iterator[Row]:
    """What comes in which order, what moves where."""
    yield from _shown(subject, held_out, "film", "questions about films", "≥ 85 %")


def sounds(subject: Subject, held_out: HeldOut) -> Iterator[Row]:
    """Which sound, and how often."""
    yield from _shown(subject, held_out, "sound", "sound events", "≥ 90 %")


def moments(subject: Subject, held_out: HeldOut) -> Iterator[Row]:
    """What was there when it beeped: film and sound together."""
    yield from _shown(subject, held_out, "moment", "what was seen when it beeped", "≥ 80 %")


def _shown(subject: Subject, held_out: HeldOut, kind: str, what: str, bar: str) -> Iterator[Row]:
    right: dict[str, list[bool]] = defaultdict(list)
    for shown in held_out.watch(shows(kind, "test", held_out.count, held_out.seed), what):
        reply = subject.ask(asked(shown), False).text
        right[shown.kind].append(plain_words(reply) == plain_words(shown.answer))
    every = [one for of_kind in right.values() for one in of_kind]
    yield Row(what, 100 * float(np.mean(every)), len(every), bar)
    if len(right) > 1:
        for name, of_kind in sorted(right.items()):
            yield Row(f"{what}: {name}", 100 * float(np.mean(of_kind)), len(of_kind))
