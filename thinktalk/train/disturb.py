"""The same words by another throat, in another room: what a recording might have been. Mono, 16 kHz."""

import numpy as np
from scipy.signal import fftconvolve, istft, stft

from thinktalk.rates import HEARING_RATE as RATE

PACE = 0.16  # a recording is faster or slower by up to about this share, and as much higher or lower
THROAT = 0.22  # and its spectrum wider or narrower by up to about this
COLOUR = 8.0  # dB by which bands are raised or lowered, as by another microphone
ECHO = 0.3  # of the recordings, those that are in an echoing room
WINDOW = 512

Wave = np.ndarray


def disturb(wave: Wave, rng: np.random.Generator) -> Wave:
    """Samples [n] to others [m] that say the same: nearer or farther, sooner or later, in some noise."""
    wave = _paced(wave, np.exp(rng.uniform(-PACE, PACE)))
    if len(wave) >= WINDOW:
        wave = _reshaped(wave, np.exp(rng.uniform(-THROAT, THROAT)), rng)
    if rng.random() < ECHO:
        wave = _echoing(wave, rng)
    before, after = (np.zeros(int(rng.uniform(0, 0.5) * RATE), np.float32) for _ in range(2))
    wave = np.concatenate((before, wave * rng.uniform(0.3, 1.0), after))
    noise = 10 ** rng.uniform(-4, -1.8) * rng.standard_normal(len(wave))
    return (wave + noise).clip(-1, 1).astype(np.float32)


def _paced(wave: Wave, factor: float) -> Wave:
    return np.interp(np.arange(0, len(wave) - 1, factor), np.arange(len(wave)), wave).astype(np.float32)


def _reshaped(wave: Wave, factor: float, rng: np.random.Generator) -> Wave:
    """Frequencies moved by a factor without a change of pace, and bands raised and lowered."""
    frequencies, _, spectrum = stft(wave, RATE, nperseg=WINDOW, noverlap=3 * WINDOW // 4)
    bins = np.arange(len(frequencies))
    source = np.minimum(bins / factor, bins[-1])
    low = np.minimum(source.astype(int), bins[-1] - 1)
    part = (source - low)[:, None].astype(np.float32)
    size = np.abs(spectrum) + np.float32(1e-9)  # a silent bin has no phase
    moved = spectrum[low] * (1 - part + part * size[low + 1] / size[low])  # with the phase of the lower bin
    knots = np.geomspace(100, RATE / 2, 7)
    gains = np.interp(frequencies, knots, rng.uniform(-COLOUR, COLOUR, len(knots)))
    moved *= (10 ** (gains / 20)).astype(np.float32)[:, None]
    _, wave = istft(moved, RATE, nperseg=WINDOW, noverlap=3 * WINDOW // 4)
    return wave / max(1.0, float(np.abs(wave).max()))


def _echoing(wave: Wave, rng: np.random.Generator) -> Wave:
    """A room whose echo dies away by 60 dB within 0.1 to 0.4 s."""
    length = int(rng.uniform(0.1, 0.4) * RATE)
    tail = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    tail *= rng.uniform(0.1, 0.5) / np.linalg.norm(tail)
    tail[0] = 1.0
    return fftconvolve(wave, tail)[: len(wave)]
