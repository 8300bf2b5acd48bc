"""The notes that are named are played."""

import random
import shutil

import numpy as np
import pytest

from thinktalk.contracts import UserError
from thinktalk.synthesis import music
from thinktalk.synthesis.music import CHORDS, NOTES, SOUNDFONT

RATE = 16_000


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The notes of what is played, in silence."""
    notes = []

    def played(program: int, some: list[int], **how) -> np.ndarray:
        notes.append(some)
        return np.zeros(RATE, np.float32)

    monkeypatch.setattr(music, "played", played)
    return notes


def test_the_chord_that_is_named_is_the_one_that_is_played(asked_for: list[list[int]]):
    for seed in range(200):
        shown = music.music("train", random.Random(seed))
        _, root, chord = shown.truth
        notes = asked_for[-1]
        assert NOTES[notes[0] % 12] == root and 55 <= notes[0] < 67
        assert tuple(note - notes[0] for note in notes) == CHORDS[chord]
        assert shown.answer in (f"I hear {root} {chord}.", f"I hear {music.a(shown.truth[0])}.")


def test_no_held_out_chord_of_an_instrument_is_trained(asked_for: list[list[int]]):
    train, test = (
        {music.music(split, random.Random(seed)).truth for seed in range(300)} for split in ("train", "test")
    )
    assert len(test) > 10 and not train & test


def test_long_pauses_take_more_bytes():
    assert music._after(0, 0x90, 60, 1) == bytes([0, 0x90, 60, 1])
    assert music._after(0.5, 0xC0, 3) == bytes([0x83, 0x60, 0xC0, 3])  # 480 = 3 * 128 + 96


def test_a_missing_program_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setattr(music, "SOUNDFONT", tmp_path / "none.sf2")
    with pytest.raises(UserError, match="apt-get install fluidsynth"):
        music.played(0, [60], 1.0, 0.0, 90)


@pytest.mark.skipif(not shutil.which("fluidsynth") or not SOUNDFONT.exists(), reason="no fluidsynth here")
def test_a_flute_plays_an_a():
    wave = music.played(music.INSTRUMENTS["flute"], [69], seconds=1.0, apart=0.0, loudness=90)
    assert np.array_equal(wave, music.played(music.INSTRUMENTS["flute"], [69], 1.0, 0.0, 90))
    steady = wave[RATE // 4 : RATE]
    spectrum = np.abs(np.fft.rfft(steady * np.hanning(len(steady))))
    assert np.argmax(spectrum) * RATE / len(steady) == pytest.approx(440, abs=4)
    assert 1.0 < len(wave) / RATE < 3 and wave[-1] != 0
