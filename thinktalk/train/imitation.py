"""A recording in the time and melody of another reading of its words: the sound that one voice would give to what the
other says.

WORLD takes a recording apart into melody, throat and breath (Morise, Yokomori and Ozawa, 2016). Throat and breath are
moved to where the other says the same; the other's melody is set to the pitch of the recording's voice. So what is to
be learnt follows from what is said, and from nothing that only this recording has.
"""

from collections.abc import Sequence
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from thinktalk.contracts import UserError
from thinktalk.rates import SPEAKING_RATE
from thinktalk.train.beside import HOP

STEP = SPEAKING_RATE // 200  # samples from one moment of WORLD to the next
PERIOD = 1000 * STEP / SPEAKING_RATE  # ms, the same


def pitch_of(sound: Tensor) -> np.ndarray:
    """Sound [n] at 24 kHz -> Hz at every moment [n // STEP + 1], 0 where nothing hums. Raises UserError without WORLD."""
    world, samples = world_vocoder(), sound.double().numpy()
    pitch, times = world.dio(samples, SPEAKING_RATE, frame_period=PERIOD)
    return world.stonemask(samples, pitch, times, SPEAKING_RATE)


def interval(lower: Sequence[np.ndarray], higher: Sequence[np.ndarray]) -> float:
    """By what factor the pitches of one voice are above another's, by their medians; 1 where one of them never hums."""
    hums = [np.concatenate([pitch[pitch > 0] for pitch in voice]) for voice in (lower, higher)]
    return float(np.median(hums[1]) / np.median(hums[0])) if all(map(len, hums)) else 1.0


def imitation(melody: np.ndarray, recording: Tensor, pitch: np.ndarray, beside: Tensor) -> Tensor:
    """The sound [len(melody) * STEP] of a recording [m] with the melody of the other reading, which is in Hz, as high as
    it is to be. pitch: the recording's own. beside [hops]: where in it the same is said as in each hop of the other.
    """
    world, samples = world_vocoder(), recording.double().numpy()
    times = np.arange(len(pitch)) * STEP / SPEAKING_RATE
    throat = world.cheaptrick(samples, pitch, times, SPEAKING_RATE)
    breath = world.d4c(samples, pitch, times, SPEAKING_RATE)
    hops = np.arange(len(melody)) * STEP / HOP - 0.5  # they are counted from their middles
    moments = np.interp(hops, np.arange(len(beside)), beside.numpy()) / STEP
    throat, breath = np.exp(_at(np.log(throat), moments)), _at(breath, moments)
    sound = world.synthesize(melody, throat, breath, SPEAKING_RATE, PERIOD)
    return torch.from_numpy(sound).float()


def _at(frames: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Frames [n, bins] as they are at some moments, which may lie between two."""
    moments = moments.clip(0, len(frames) - 1)
    low = moments.astype(int)
    high, part = (low + 1).clip(max=len(frames) - 1), (moments - low)[:, None]
    return np.ascontiguousarray(frames[low] * (1 - part) + frames[high] * part)


def world_vocoder() -> ModuleType:
    """The library that takes recordings apart. Raises UserError where it is not installed."""
    try:
        import pyworld
    except ImportError as error:
        raise UserError("a new voice needs WORLD: pip install pyworld-prebuilt") from error
    return pyworld
