"""One voice made into others: WORLD takes speech apart into melody, throat and breath, and puts it together otherwise.

A disguise keeps what rules cannot make, the sounds as a person joins them, and changes what differs between speakers.
WORLD: Morise, Yokomori and Ozawa (2016).
"""

from dataclasses import dataclass

import numpy as np

from thinktalk.contracts import UserError

INSTALL = "pip install pyworld-prebuilt"


@dataclass(frozen=True)
class Disguise:
    """Factors: of the median pitch, of all resonances (a shorter throat has higher ones), and of how far the pitch moves."""

    pitch: float
    throat: float
    melody: float


def disguised(wave: np.ndarray, rate_hz: int, disguise: Disguise) -> np.ndarray:
    """Speech [n], mono, to the same words by somebody else [n], float32. Raises UserError without pyworld."""
    try:
        import pyworld
    except ImportError as error:
        raise UserError(f"voices in disguise need WORLD: {INSTALL}") from error
    samples = wave.astype(np.float64)
    pitch, times = pyworld.dio(samples, rate_hz)
    pitch = pyworld.stonemask(samples, pitch, times, rate_hz)
    envelope = pyworld.cheaptrick(samples, pitch, times, rate_hz)
    breath = pyworld.d4c(samples, pitch, times, rate_hz)
    spoken = pyworld.synthesize(
        _moved(pitch, disguise), _stretched(envelope, disguise), _stretched(breath, disguise), rate_hz
    )[: len(wave)]
    return np.pad(spoken, (0, len(wave) - len(spoken))).astype(np.float32)


def _moved(pitch: np.ndarray, disguise: Disguise) -> np.ndarray:
    """Hz of each frame, 0 where nothing hums."""
    hums = pitch > 0
    if not hums.any():
        return pitch
    middle = np.median(pitch[hums])
    return np.where(hums, disguise.pitch * middle * (np.maximum(pitch, 1) / middle) ** disguise.melody, 0.0)


def _stretched(spectrum: np.ndarray, disguise: Disguise) -> np.ndarray:
    """Frames [n, bins] with every frequency moved by the throat's factor."""
    last = spectrum.shape[1] - 1
    source = np.minimum(np.arange(last + 1) / disguise.throat, last)
    low = np.minimum(source.astype(int), last - 1)
    part = source - low
    return np.ascontiguousarray(spectrum[:, low] * (1 - part) + spectrum[:, low + 1] * part)
