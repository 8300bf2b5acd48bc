"""Something shown or played, with a question about it and the one answer that is right."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

Split = Literal["train", "test"]
HELD_OUT_PERCENT = 10
FPS = 2.0  # frames a second in which films are watched


@dataclass(frozen=True)
class Place:
    """What is in a box (left, top, right, bottom), in units of the picture's side."""

    words: tuple[str, ...]
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Shown:
    """`picture` uint8 [height, width, 3]; `film` uint8 [n, height, width, 3], `FPS` of them a second; `sound` float32
    [samples] at 16 kHz, of the film where there is one. `truth` are the words that are true of it, asked or not, and
    `places` the words that are true of a part of a picture."""

    kind: str
    question: str
    answer: str
    truth: tuple[str, ...]
    places: tuple[Place, ...] = ()
    picture: np.ndarray | None = None
    film: np.ndarray | None = None
    sound: np.ndarray | None = None


def split_of(*facts: object) -> Split:
    """The side of the split that a combination of facts is on, whatever the seed: a tenth is held out."""
    digest = hashlib.sha256(" ".join(map(str, facts)).encode()).digest()
    return "test" if int.from_bytes(digest[:8], "big") % 100 < HELD_OUT_PERCENT else "train"


def drawn(make: Callable[[random.Random, Split], Shown | None], rng: random.Random, split: Split) -> Shown:
    """What `make` draws, as often as it takes until it is on that side of the split."""
    while (made := make(rng, split)) is None:
        pass
    return made


def a(noun: str) -> str:
    """The noun behind its article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
