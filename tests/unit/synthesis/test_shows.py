"""What is shown is what is said of it."""

import random

import numpy as np
import pytest

from thinktalk.synthesis.films import FRAMES, moment
from thinktalk.synthesis.pictures import COLOURS, NUMBERS, SHAPES, WORDS, half, picture
from thinktalk.synthesis.shown import FPS, Shown
from thinktalk.synthesis.shows import MAKERS, asked, shows
from thinktalk.synthesis.sounds import EVENTS, RATE

SIDES = {  # of what is at a place, this is the least
    "left?": lambda place: place.box[0],
    "right?": lambda place: -place.box[0],
    "top?": lambda place: place.box[1],
    "bottom?": lambda place: -place.box[1],
}
NAMES = {*COLOURS, *SHAPES, *NUMBERS, *WORDS, *EVENTS, "left", "right", "up", "down"}


def facts(shown: Shown) -> tuple:
    return (shown.kind, *shown.truth)


@pytest.mark.parametrize("kind", MAKERS)
def test_the_same_seed_and_place_are_the_same_show(kind: str):
    one, same, other = (
        shows(kind, "train", 9)[4],
        shows(kind, "train", 5)[4],
        shows(kind, "train", 9, seed=1)[4],
    )
    for field in ("picture", "film", "sound"):
        assert np.array_equal(getattr(one, field), getattr(same, field))
    assert (one.question, one.answer) == (same.question, same.answer)
    assert any(not np.array_equal(getattr(one, f), getattr(other, f)) for f in ("picture", "film", "sound"))


@pytest.mark.parametrize("kind", ["picture", "film"])
def test_no_held_out_combination_is_trained(kind: str):
    train, test = ({facts(show) for show in shows(kind, split, 150)} for split in ("train", "test"))
    assert len(test) > 20
    assert not train & test


@pytest.mark.parametrize("kind", MAKERS)
def test_every_true_word_has_a_name_and_every_show_an_answer(kind: str):
    for show in shows(kind, "train", 40):
        assert set(show.truth) <= NAMES
        assert show.question.endswith("?")
        assert show.answer.endswith(".")
        assert any(word.rstrip("s") in show.answer.lower() for word in show.truth)
        for pixels in (show.picture, *(show.film if show.film is not None else ())):
            assert pixels is None or (pixels.dtype == np.uint8 and pixels.shape == (64, 64, 3))
        assert show.sound is None or (show.sound.dtype == np.float32 and 0.05 < abs(show.sound).max() <= 1)


def test_half_of_what_is_at_a_place_is_asked_for_and_is_there():
    rng, asked_for = random.Random(0), set()
    for _ in range(80):
        shown = half(rng, "train")
        if shown is None:
            continue
        words = shown.answer.rstrip(".").split()
        at = SIDES[shown.question.split()[-1]]
        thing = min(shown.places, key=at)
        colour, shape = thing.words
        assert words[-1] == (colour if "colour" in shown.question else shape)
        assert {shown.truth[:2], shown.truth[2:]} == set(
            zip(*(place.words for place in shown.places), strict=True)
        )
        asked_for.add((shown.question.split()[1], shown.question.split()[-1]))
    assert len(asked_for) == 2 * len(SIDES)


def test_the_colour_that_is_named_is_there():
    for seed in range(60):
        shown = picture("train", random.Random(seed))
        for name in set(shown.truth) & set(COLOURS):
            distance = np.linalg.norm(shown.picture.astype(float) - COLOURS[name], axis=-1)
            assert (distance < 45).sum() > 12, (seed, shown.answer)


def test_it_beeps_while_the_right_thing_is_there():
    for seed in range(30):
        shown = moment("train", random.Random(seed))
        assert shown.film is not None
        assert shown.sound is not None
        assert len(shown.sound) == FRAMES / FPS * RATE
        loud = np.flatnonzero(abs(shown.sound) > 0.15)
        frames = {int(at / RATE * FPS) for at in loud}
        for frame in frames:
            distance = np.linalg.norm(shown.film[frame].astype(float) - COLOURS[shown.truth[0]], axis=-1)
            assert (distance < 45).sum() > 50, (seed, frame, shown.answer)


def test_the_question_comes_behind_what_is_shown():
    for kind in MAKERS:
        message = asked(shows(kind, "test", 1)[0])
        assert [type(part).__name__ for part in message.content] in (
            ["Image", "Text"],
            ["Video", "Text"],
            ["Audio", "Text"],
        )
