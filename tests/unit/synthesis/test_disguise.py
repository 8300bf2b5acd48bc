"""A disguise moves the pitch and the resonances by what it says, and nothing else."""

import numpy as np
import pytest

from thinktalk.contracts import UserError
from thinktalk.synthesis.disguise import INSTALL, Disguise, disguised
from thinktalk.synthesis.voices import disguises, speak, voices

RATE = 16_000


def vowel(pitch: float, resonance: float) -> np.ndarray:
    """A second of a buzz of `pitch` Hz whose overtones are loudest about `resonance` Hz, wavering by a tenth."""
    time = np.arange(RATE) / RATE
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.1 * np.sin(2 * np.pi * 3 * time))) / RATE
    overtones = np.arange(1, int(7000 / pitch))
    loud = 1 / (1 + ((overtones * pitch - resonance) / 150) ** 2)
    wave = (loud[:, None] * np.sin(overtones[:, None] * phase)).sum(0)
    return (0.3 * wave / np.abs(wave).max()).astype(np.float32)


def pitch(wave: np.ndarray) -> np.ndarray:
    """Hz of the frames that hum."""
    import pyworld

    found, _ = pyworld.harvest(wave.astype(np.float64), RATE)
    return found[found > 0][20:-20]


def centre(wave: np.ndarray) -> float:
    """The middle of the power between 300 Hz and 3 kHz, in Hz."""
    power, hertz = np.abs(np.fft.rfft(wave)) ** 2, np.fft.rfftfreq(len(wave), 1 / RATE)
    band = (hertz > 300) & (hertz < 3000)
    return float((power[band] * hertz[band]).sum() / power[band].sum())


@pytest.mark.parametrize(
    "factors", [(1.0, 1.0, 1.0), (0.6, 1.0, 1.0), (1.0, 0.8, 1.0), (1.0, 1.25, 1.0), (1.0, 1.0, 0.3)]
)
def test_it_moves_what_it_says(factors: tuple[float, float, float]):
    disguise, before = Disguise(*factors), vowel(200, 1000)
    after = disguised(before, RATE, disguise)
    assert after.dtype == np.float32 and len(after) == len(before)
    assert np.median(pitch(after)) == pytest.approx(disguise.pitch * 200, rel=0.03)
    assert centre(after) / centre(before) == pytest.approx(disguise.throat, rel=0.1)
    assert np.std(pitch(after)) / np.std(pitch(before)) == pytest.approx(
        disguise.pitch * disguise.melody, rel=0.15
    )


def test_silence_stays_silent():
    assert np.abs(disguised(np.zeros(RATE // 2, np.float32), RATE, Disguise(0.5, 0.8, 1.0))).max() < 1e-3


def test_those_in_disguise_say_the_same_each_time_and_are_no_voices_to_be_told_apart():
    some = disguises()
    assert len({voice.name for voice in some}) == len({voice.disguise for voice in some}) == len(some)
    assert all(voice.heard for voice in some) and not set(some) & set(voices())
    try:
        own, once, again = (
            speak(voice, "What is two plus three?", RATE) for voice in (voices()[0], *some[:1] * 2)
        )
    except UserError as error:
        pytest.skip(str(error))
    assert np.array_equal(once, again) and len(once) == len(own)
    assert np.median(pitch(once)) < 0.6 * np.median(pitch(own))


def test_without_world_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "pyworld", None)
    with pytest.raises(UserError, match=INSTALL):
        disguised(np.zeros(100, np.float32), RATE, Disguise(1.0, 1.0, 1.0))
