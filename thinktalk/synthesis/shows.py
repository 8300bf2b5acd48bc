"""As much to see and hear as one wants: the i-th picture, film or sound depends on seed and i alone."""

import random
from collections.abc import Callable

from thinktalk.contracts import Audio, Image, Message, Part, Text, Video
from thinktalk.synthesis.films import film, moment
from thinktalk.synthesis.made import Made
from thinktalk.synthesis.pictures import picture
from thinktalk.synthesis.shown import FPS, Shown, Split
from thinktalk.synthesis.sounds import sound

MAKERS: dict[str, Callable[[Split, random.Random], Shown]] = {
    "picture": picture,
    "film": film,
    "sound": sound,
    "moment": moment,
}


def shows(kind: str, split: Split, many: int, seed: int = 0) -> Made[Shown]:
    """`many` of one kind, of one side of the split."""
    make = MAKERS[kind]
    return Made(many, lambda i: make(split, random.Random(f"{kind} {split} {seed} {i}")))


def asked(shown: Shown) -> Message:
    """The user's turn: what is shown, and the question in writing."""
    seen: list[Part] = []
    if shown.film is not None:
        seen.append(Video(shown.film, FPS, sound=shown.sound))
    elif shown.sound is not None:
        seen.append(Audio(shown.sound))
    if shown.picture is not None:
        seen.append(Image(shown.picture))
    return Message("user", [*seen, Text(shown.question)])
