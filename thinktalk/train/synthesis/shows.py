"""As much to see and hear as one wants: the i-th picture, film or sound depends on seed and i alone."""

import random
from collections.abc import Callable, Sequence
from typing import overload

from thinktalk.contracts import Audio, Image, Message, Part, Text, Video
from thinktalk.train.synthesis.films import film, moment
from thinktalk.train.synthesis.pictures import picture
from thinktalk.train.synthesis.shown import FPS, Shown, Split
from thinktalk.train.synthesis.sounds import sound

MAKERS: dict[str, Callable[[Split, random.Random], Shown]] = {
    "picture": picture,
    "film": film,
    "sound": sound,
    "moment": moment,
}


class Shows(Sequence[Shown]):
    """`count` of one kind, of one side of the split."""

    def __init__(self, kind: str, split: Split, count: int, seed: int = 0):
        self.kind, self.split, self.count, self.seed = kind, split, count, seed

    def __len__(self) -> int:
        return self.count

    @overload
    def __getitem__(self, i: int) -> Shown: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Shown]: ...
    def __getitem__(self, i: int | slice) -> Shown | Sequence[Shown]:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        if not 0 <= i < self.count:
            raise IndexError(i)
        return MAKERS[self.kind](self.split, random.Random(f"{self.kind} {self.split} {self.seed} {i}"))


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
