"""Stamps are shown with their own names, and what is held out of them is never trained on."""

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.stamps import THINGS, draw
from thinktalk.contracts import UserError
from thinktalk.synthesis import stamps as module
from thinktalk.synthesis.stamps import QUESTIONS, SIDE, stamp, stamps


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    draw(tmp_path)
    found = {split: stamps(split, tmp_path) for split in ("train", "test")}
    monkeypatch.setattr(module, "stamps", found.__getitem__)
    return tmp_path


def test_a_stamp_is_shown_with_its_own_name(folder: Path):
    for seed in range(50):
        shown = stamp("train", random.Random(seed))
        assert shown.picture is not None and shown.picture.shape == (SIDE, SIDE, 3)
        thing = shown.answer[:-1].split()[1]
        with Image.open(folder / f"{thing}.png") as drawn:
            colour = drawn.convert("RGB").getpixel((20, 10))
        assert (shown.picture == np.array(colour, np.uint8)).all(-1).mean() > 0.1
        assert shown.question == QUESTIONS["es" if shown.answer.startswith("Un ") else "en"]


def test_things_are_held_out_however_often_they_are_drawn(folder: Path):
    def things(split):
        return {one.path.stem.removesuffix("_2") for one in stamps(split, folder)}

    train, test = things("train"), things("test")
    assert train and test and not train & test and len(train | test) == THINGS
    assert all(len(stamps(split, folder)) == 2 * len(things(split)) for split in ("train", "test"))


def test_the_same_seed_shows_the_same(folder: Path):
    one, other = (stamp("test", random.Random(3)) for _ in range(2))
    assert one.answer == other.answer and np.array_equal(one.picture, other.picture)


def test_where_there_are_none_it_says_what_installs_them(tmp_path: Path):
    with pytest.raises(UserError, match="apt-get install tuxpaint-stamps-default"):
        stamps("train", tmp_path / "nothing")
