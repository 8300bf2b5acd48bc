"""The same words by another throat, in another room: what a recording might have been. Mono, 16 kHz."""

import numpy as np
import torch
from scipy import fft
from scipy.signal import fftconvolve

from thinktalk.rates import HEARING_RATE as RATE

PACE = 0.16  # a recording is faster or slower by up to about this share, and as much higher or lower
THROAT = 0.22  # and its spectrum wider or narrower by up to about this
COLOUR = 8.0  # dB by which bands are raised or lowered, as by another microphone
NARROW = 0.3  # of the recordings, those without what is high, as over a telephone
LOWEST_CUT = 2500.0  # Hz from which on it may be missing
HOLES = 2  # at most so many bands are gone, and so many moments
LONGEST_HOLE = 0.08  # seconds
GONE = 60.0  # dB by which what is gone is lower
ECHO = 0.3  # of the recordings, those that are in an echoing room
NOISE = (-4.5, -1.7)  # the least and most of it: log10 of its RMS
NOISE_COLOUR = 20.0  # dB
WINDOW = 512
HANN = torch.hann_window(WINDOW)

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
    return (wave + _noise(len(wave), rng)).clip(-1, 1).astype(np.float32)


def _paced(wave: Wave, factor: float) -> Wave:
    return np.interp(np.arange(0, len(wave) - 1, factor), np.arange(len(wave)), wave).astype(np.float32)


def _reshaped(wave: Wave, factor: float, rng: np.random.Generator) -> Wave:
    """Frequencies moved by a factor without a change of pace; bands louder, quieter or gone, and moments gone."""
    spectrum = torch.stft(
        torch.from_numpy(wave), WINDOW, WINDOW // 4, window=HANN, pad_mode="constant", return_complex=True
    )
    bins = np.arange(len(spectrum))
    source = np.minimum(bins / factor, bins[-1])
    low = np.minimum(source.astype(int), bins[-1] - 1)
    gains = _microphone(bins * RATE / WINDOW, rng)
    part, louder = (torch.from_numpy(one)[:, None].float() for one in (source - low, 10 ** (gains / 20)))
    size = spectrum.abs() + 1e-9  # a silent bin has no phase
    between = torch.lerp(size[low], size[low + 1], part)
    moved = spectrum[low] * (between / size[low] * louder)  # with the phase of the lower bin
    for _ in range(rng.integers(HOLES + 1)):
        start, seconds = int(rng.integers(moved.shape[1])), rng.uniform(0, LONGEST_HOLE)
        moved[:, start : start + round(seconds * RATE / (WINDOW // 4))] *= 10 ** (-GONE / 20)
    wave = torch.istft(moved, WINDOW, WINDOW // 4, window=HANN, length=len(wave)).numpy()
    return wave / max(1.0, float(np.abs(wave).max()))


def _microphone(hz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The dB [n] by which a recording of frequencies [n] is louder: in colour, too narrow, or with bands missing."""
    gains = _uneven(hz, COLOUR, rng)
    if rng.random() < NARROW:
        gains[hz > rng.uniform(LOWEST_CUT, RATE / 2)] -= GONE
    for _ in range(rng.integers(HOLES + 1)):
        start, width = np.exp(rng.uniform(np.log(200), np.log(RATE / 2))), rng.uniform(1, 1.3)
        gains[(hz > start) & (hz < start * width)] -= GONE
    return gains


def _uneven(hz: np.ndarray, most: float, rng: np.random.Generator) -> np.ndarray:
    """dB [n] at frequencies [n] that go smoothly up and down, by at most `most`."""
    knots = np.geomspace(100, RATE / 2, 7)
    return np.interp(hz, knots, rng.uniform(-most, most, len(knots)))


def _noise(length: int, rng: np.random.Generator) -> Wave:
    """Noise of some colour: what is under the speech differs from one recording to the next as much as the speech."""
    quick = fft.next_fast_len(length, real=True)
    white = np.asarray(fft.rfft(rng.standard_normal(quick, np.float32)))
    louder = 10 ** (_uneven(fft.rfftfreq(quick, 1 / RATE), NOISE_COLOUR, rng) / 20)
    coloured = np.asarray(fft.irfft(white * louder.astype(np.float32), quick))[:length]
    return 10 ** rng.uniform(*NOISE) * coloured / max(float(coloured.std()), 1e-9)


def _echoing(wave: Wave, rng: np.random.Generator) -> Wave:
    """A room whose echo dies away by 60 dB within 0.1 to 0.4 s."""
    length = int(rng.uniform(0.1, 0.4) * RATE)
    tail = rng.standard_normal(length, np.float32) * 10 ** (-3 * np.arange(length, dtype=np.float32) / length)
    tail *= rng.uniform(0.1, 0.5) / np.linalg.norm(tail)
    tail[0] = 1.0
    return fftconvolve(wave, tail)[: len(wave)]
