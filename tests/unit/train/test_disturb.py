"""What a disturbed recording still says, and how far it may be from the one before."""

import numpy as np
import pytest
from numpy.random import default_rng

from thinktalk.train import disturb as train_disturb
from thinktalk.train.disturb import LOWEST_CUT, PACE, RATE, disturb

SECONDS = 1.5


@pytest.fixture(scope="module")
def sweep() -> np.ndarray:
    """A tone that rises from 100 Hz to 7 kHz."""
    time = np.arange(int(SECONDS * RATE)) / RATE
    return (0.5 * np.sin(2 * np.pi * (100 * time + 6900 * time**2 / (2 * SECONDS)))).astype(np.float32)


def power(wave: np.ndarray, low: float, high: float) -> float:
    """The power of what lies between two frequencies."""
    hertz = np.fft.rfftfreq(len(wave), 1 / RATE)
    return float((np.abs(np.fft.rfft(wave))[(hertz >= low) & (hertz < high)] ** 2).mean())


def test_the_same_numbers_disturb_the_same_way_and_others_otherwise(sweep: np.ndarray):
    first, again, other = (disturb(sweep, default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert len(first) != len(other) or not np.array_equal(first, other)


def test_where_nothing_is_moved_or_missing_a_recording_comes_back(
    sweep: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
    for name in ("COLOUR", "NARROW", "HOLES"):
        monkeypatch.setattr(train_disturb, name, 0)
    same = train_disturb._reshaped(sweep, 1.0, default_rng(0))
    np.testing.assert_allclose(same, sweep, atol=5e-3)  # the highest bin has the phase of the one below it


def test_it_stays_a_recording_of_about_that_length(sweep: np.ndarray):
    for seed in range(60):
        wave = disturb(sweep, default_rng(seed))
        assert wave.dtype == np.float32 and np.isfinite(wave).all() and np.abs(wave).max() <= 1
        assert SECONDS * np.exp(-PACE) - 0.01 < len(wave) / RATE < SECONDS * np.exp(PACE) + 1.01


def test_some_are_without_what_is_high_and_all_keep_what_is_low(sweep: np.ndarray):
    high, low = [], []
    for seed in range(80):
        wave = disturb(sweep, default_rng(seed))
        high.append(power(wave, 5000, 7000))
        low.append(power(wave, 300, LOWEST_CUT * 0.7))
    ratio = np.sort(np.divide(high, low))
    assert ratio[8] < 1e-2 * ratio[40] and ratio[0] < 1e-3  # a tenth and more are cut off below 5 kHz
    assert min(low) > 1e-3 * float(np.median(low))


def test_what_is_under_the_speech_has_many_levels_and_colours():
    silence = np.zeros(RATE, np.float32)
    noises = [disturb(silence, default_rng(seed)) for seed in range(60)]
    levels = np.log10([noise.std() for noise in noises])
    assert levels.min() < -4 and levels.max() > -2
    tilts = np.log10([power(noise, 200, 1000) / power(noise, 4000, 8000) for noise in noises])
    assert tilts.min() < -0.5 and tilts.max() > 0.5


@pytest.mark.parametrize("samples", [1, 2, 100, 511, 512])
def test_even_the_shortest_can_be_disturbed(samples: int):
    for seed in range(20):
        assert np.isfinite(disturb(np.full(samples, 0.1, np.float32), default_rng(seed))).all()
