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
HOP = WINDOW // 4
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
    padded = torch.from_numpy(np.pad(wave, WINDOW))
    spectrum = torch.stft(padded, WINDOW, HOP, window=HANN, center=False, return_complex=True).T.numpy()
    bins = np.arange(spectrum.shape[1])
    source = np.minimum(bins / factor, bins[-1])
    low = np.minimum(source.astype(int), bins[-1] - 1)
    louder = 10 ** (_microphone(bins * RATE / WINDOW, rng) / 20)
    part, louder = (source - low).astype(np.float32), louder.astype(np.float32)
    size = np.abs(spectrum) + np.float32(1e-9)  # a silent bin has no phase
    steps = (size[:, 1:] / size[:, :-1]).take(low, 1)  # from one bin to the next
    moved = spectrum.take(low, 1) * (
        louder * (1 - part) + louder * part * steps
    )  # with the phase of the lower bin
    for _ in range(rng.integers(HOLES + 1)):
        start, seconds = int(rng.integers(len(moved))), rng.uniform(0, LONGEST_HOLE)
        moved[start : start + round(seconds * RATE / HOP)] *= 10 ** (-GONE / 20)
    wave = _overlapped(moved)[WINDOW : WINDOW + len(wave)]
    return wave / max(1.0, float(np.abs(wave).max()))


def _overlapped(spectrum: np.ndarray) -> Wave:
    """Frames [n, bins] to samples, right wherever four frames overlap; in a quarter of `torch.istft`'s time."""
    frames = torch.fft.irfft(torch.from_numpy(spectrum), WINDOW) * (
        HANN / 1.5
    )  # four squared windows are 1.5
    parts = frames.view(len(frames), -1, HOP).numpy()
    wave = np.zeros((len(parts) + parts.shape[1] - 1, HOP), np.float32)
    for i in range(parts.shape[1]):
        wave[i : i + len(parts)] += parts[:, i]
    return wave.ravel()


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
    """What goes smoothly up and down over frequencies [n], by at most `most` [n]."""
    knots = np.geomspace(100, RATE / 2, 7)
    return np.interp(hz, knots, rng.uniform(-most, most, len(knots)))


def _noise(length: int, rng: np.random.Generator) -> Wave:
    """Noise of some colour: what is under the speech differs from one recording to the next as much as the speech."""
    quick = fft.next_fast_len(length, real=True)
    hz = fft.rfftfreq(quick, 1 / RATE)
    white = rng.standard_normal(2 * len(hz), np.float32).view(np.complex64)
    nepers = _uneven(hz, NOISE_COLOUR * np.log(10) / 20, rng).astype(np.float32)
    coloured = np.asarray(fft.irfft(white * np.exp(nepers), quick))[:length]
    return 10 ** rng.uniform(*NOISE) * coloured / max(float(coloured.std()), 1e-9)


def _echoing(wave: Wave, rng: np.random.Generator) -> Wave:
    """A room whose echo dies away by 60 dB within 0.1 to 0.4 s."""
    length = int(rng.uniform(0.1, 0.4) * RATE)
    tail = rng.standard_normal(length, np.float32) * 10 ** (-3 * np.arange(length, dtype=np.float32) / length)
    tail *= rng.uniform(0.1, 0.5) / np.linalg.norm(tail)
    tail[0] = 1.0
    return fftconvolve(wave, tail)[: len(wave)]
