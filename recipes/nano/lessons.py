"""What nano's Thinker learns from, as examples without end: recordings, written questions, and what is shown."""

import random
from collections.abc import Sequence
from itertools import islice

import numpy as np

from recipes.nano.script import TRANSCRIBED
from thinktalk.contracts import Audio, Message, Text
from thinktalk.synthesis import pictures, world
from thinktalk.synthesis.corpus import Clip, Corpus
from thinktalk.synthesis.made import Made
from thinktalk.synthesis.shows import asked, shows
from thinktalk.synthesis.world import TRANSCRIBE
from thinktalk.train.data.example import Example
from thinktalk.train.disturb import disturb

MANY = 10_000_000  # pictures and sounds are made as they are asked for: as good as no end
ROUNDS = 40  # how often a recording comes before it comes the same way again
WEIGHTS = {
    "recording": 0.24,
    "asked": 0.09,
    "written": 0.11,
    "picture": 0.18,
    "close": 0.1,
    "film": 0.12,
    "sound": 0.06,
    "moment": 0.1,
}


def sources(clips: Corpus) -> dict[str, Sequence[Example]]:
    """All kinds of lessons, by the names that `WEIGHTS` has for them."""
    askers = [i for i in range(len(clips)) if clips.kind(i) in ("sum", "day", "fact")]
    questions = _questions()
    return {
        "recording": Made(ROUNDS * len(clips), lambda i: recording(clips[i % len(clips)], i)),
        "asked": Made(ROUNDS * len(askers), lambda i: recording(clips[askers[i % len(askers)]], i, 0.0)),
        "written": [_example(f"written {i}", e.question, e.answer) for i, e in enumerate(questions)],
        "close": Made(MANY, close),
        **{kind: shown(kind) for kind in ("picture", "film", "sound", "moment")},
    }


def shown(kind: str) -> Sequence[Example]:
    """What is shown, with the question in writing."""
    made = shows(kind, "train", MANY)

    def example(i: int) -> Example:
        one = made[i]
        return _example(f"{kind} {i}", asked(one), one.answer)

    return Made(MANY, example)


def close(i: int) -> Example:
    """A picture that must be looked at closely: to count, or to read."""
    rng, made = random.Random(f"close {i}"), None
    kind = (pictures.count, pictures.word, pictures.word, pictures.count, pictures.digit)[i % 5]
    while made is None:
        made = kind(rng, "train")
    return _example(f"close {i}", asked(made), made.answer)


def recording(clip: Clip, seed: int, transcribed: float = TRANSCRIBED) -> Example:
    """A recording, disturbed by `seed`, to be written down or answered."""
    rng = np.random.default_rng(seed)
    heard = Audio(disturb(clip.wave, rng))
    if clip.answer and rng.random() >= transcribed:
        return _example(f"recording {seed}", Message("user", [heard]), clip.answer)
    return _example(f"recording {seed}", Message("user", [heard, Text(TRANSCRIBE)]), clip.text)


def _questions() -> list[world.Exchange]:
    """Written questions, the sums among them more often than they are asked aloud.

    A reply repeats the question before it answers, so what is learnt of the written "Two plus three is" serves the
    heard one as well.
    """
    asked = list(islice(world.exchanges("train", 2), 40_000))
    return [e for e in asked if e.kind != "repeat"] + asked[:4_000]


def _example(name: str, user: Message | str, answer: str) -> Example:
    message = Message("user", user) if isinstance(user, str) else user
    return Example(name, (message, Message("assistant", answer)), (False, True))
