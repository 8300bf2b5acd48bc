"""What is made is what its manifest says, the same each time."""

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.stamps import draw
from thinktalk.contracts import UserError
from thinktalk.media.audio import load_audio
from thinktalk.media.video import load_video, save_video
from thinktalk.synthesis import music, stamps
from thinktalk.synthesis.films import FRAMES
from thinktalk.synthesis.shows import shows
from thinktalk.train.data import making
from thinktalk.train.data.check import Checker
from thinktalk.train.data.content import content_hash
from thinktalk.train.data.making import KINDS, make
from thinktalk.train.data.manifest import Manifest, read, write


def made(kind: str, folder: Path, seed: int = 0) -> Manifest:
    path = folder / f"{kind}.jsonl"
    folder.mkdir(exist_ok=True)
    write(path, make(kind, "train", 2, seed, folder / kind))
    return read(path)


@pytest.fixture
def voices(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Who said what: a tone as long as the text, in the place of every voice."""
    said = []

    def speak(voice, text: str, rate: int) -> np.ndarray:
        said.append((voice.engine, text))
        return 0.1 * np.sin(np.arange(rate * len(text) // 20) / 9).astype(np.float32)

    def played(program: int, notes: list[int], **how) -> np.ndarray:
        return 0.1 * np.sin(np.arange(8000) * (program + sum(notes)) / 999).astype(np.float32)

    monkeypatch.setattr(making, "speak", speak)
    monkeypatch.setattr(music, "played", played)
    return said


@pytest.fixture
def collection(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stamps, whether or not some are installed here."""
    folder = tmp_path_factory.mktemp("stamps")
    draw(folder)
    monkeypatch.setattr(stamps, "stamps", partial(stamps.stamps, folder=folder))


@pytest.mark.parametrize("kind", KINDS)
def test_all_that_is_made_can_be_learnt_from_and_is_made_again(
    kind: str, tmp_path: Path, voices: list, collection: None
):
    one, same, other = (
        made(kind, tmp_path / "a"),
        made(kind, tmp_path / "b"),
        made(kind, tmp_path / "c", seed=1),
    )
    check = Checker(60.0, decode=True)
    assert [check(one, i) for i in range(2)] == [None, None]
    assert content_hash(one) == content_hash(same) != content_hash(other)


def test_a_spoken_question_has_a_spoken_answer_in_nanos_voice(tmp_path: Path, voices):
    for example in made("question", tmp_path):
        assert example.target_audio is not None
        assert example.voices[1] == "hibari/heart"
        answer = example.messages[1].content
        assert ("hibari", answer) in voices
        assert len(load_audio(example.target_audio.source)) == 16_000 * len(answer) // 20


def test_held_out_speech_comes_from_engines_that_are_never_trained_on(tmp_path: Path, voices):
    list(make("speech", "test", 8, 0, tmp_path))
    assert {engine for engine, _ in voices} == {"flite"}
    voices.clear()
    list(make("speech", "train", 8, 0, tmp_path))
    assert "flite" not in {engine for engine, _ in voices}


def test_a_film_that_was_written_shows_and_sounds_the_same(tmp_path: Path):
    shown = shows("moment", "train", 1)[0]
    assert shown.film is not None
    assert shown.sound is not None
    save_video(tmp_path / "film.mp4", shown.film, 2.0, shown.sound)
    seen = load_video(tmp_path / "film.mp4", min_pixels=64 * 64, max_pixels=64 * 64)
    assert seen.frames.shape == (FRAMES, 64, 64, 3)
    assert abs(seen.frames.astype(float) - shown.film).mean() < 6
    assert seen.audio is not None
    loud = [np.flatnonzero(abs(wave) > 0.15)[0] / 16_000 for wave in (seen.audio, shown.sound)]
    assert loud[0] == pytest.approx(loud[1], abs=0.1)


def test_what_cannot_be_made_is_said_and_leaves_nothing(tmp_path: Path):
    with pytest.raises(UserError, match="nothing called 'poem' to make; there are speech"):
        made("poem", tmp_path / "a")
    assert not list((tmp_path / "a").iterdir())
    shown = shows("film", "train", 1)[0]
    assert shown.film is not None
    with pytest.raises(UserError, match="cannot be written"):
        save_video(tmp_path / "none" / "film.mp4", shown.film, 2.0)
    shutil.rmtree(tmp_path / "a")
    assert not list(tmp_path.iterdir())
