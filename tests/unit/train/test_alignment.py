"""Alignment of letters with slots, where the right one can be seen."""

from itertools import groupby, product

import numpy as np
import pytest

from thinktalk.train.alignment import _per_frame, best_path
from thinktalk.train.losses.ctc import spell
from thinktalk.train.losses.tokens import IGNORE


def peaks(letters: list[int], slots: int) -> np.ndarray:
    """Log-probabilities [slots, 29] that are sure of `letters[i]` in slot i, a blank being 0."""
    scores = np.full((slots, 29), np.log(1e-3))
    for slot, letter in enumerate([*letters, *[0] * (slots - len(letters))]):
        scores[slot, letter] = 0.0
    return scores


def test_letters_are_found_where_they_peak():
    one, two = [0, 1, 0, 0, 2, 2, 0, 3], [5, 0, 5, 0]
    scores = np.stack([peaks(one, 10), peaks(two, 10)])
    first, second = best_path(scores, [10, 4], [[1, 2, 3], [5, 5]])
    assert first.tolist() == [1, 4, 7]
    assert second.tolist() == [0, 2]  # a letter said twice needs the blank between


@pytest.mark.parametrize("seed", range(10))
def test_the_path_is_the_likeliest_of_all(seed: int):
    scores = np.random.default_rng(seed).standard_normal((1, 5, 4))
    letters = [1, 1] if seed % 2 else [1, 3]

    def collapsed(path: tuple[int, ...]) -> list[int]:
        return [one for one, _ in groupby(path) if one]

    paths = [path for path in product(range(4), repeat=5) if collapsed(path) == letters]
    best = max(paths, key=lambda path: sum(scores[0, slot, one] for slot, one in enumerate(path)))
    begins = [slot for slot, one in enumerate(best) if one and (slot == 0 or best[slot - 1] != one)]
    assert best_path(scores, [5], [letters])[0].tolist() == begins


def test_frames_carry_the_token_that_is_being_said():
    times = np.array([0.2, 0.3, 0.4, 0.5])  # "hi" and " a"
    said = _per_frame([7, 8, 9], [spell("hi"), spell(" a"), []], times, 9)
    # frames are 80 ms; a token begins with its first letter, and what has none comes a little later
    assert said.tolist() == [IGNORE, IGNORE, 7, 7, 7, 7, 8, 8, 9]


@pytest.mark.parametrize("frames", [1, 30])
def test_every_frame_has_a_label(frames: int):
    assert len(_per_frame([7], [spell("a")], np.array([0.1]), frames)) == frames
