"""Where somebody speaks in a sound, while it comes: a probability every 32 ms, and the turns that follow from it.

The probabilities are those of silero-vad, whose wheel brings the model: https://github.com/snakers4/silero-vad
"""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime

from thinktalk.rates import HEARING_RATE

WINDOW = 512  # samples that get one probability
WINDOW_MS = 1000 * WINDOW // HEARING_RATE
_BEFORE = 64  # samples before a window that the model sees with it
_MOST_WINDOWS = 512  # in one run of the model: bounds what it holds meanwhile


class VoiceActivity:
    """The probability of speech in each window of 32 ms, for any way of cutting the sound."""

    def __init__(self) -> None:
        self._model = _silero()
        self._hidden = self._cell = np.zeros((1, 1, 128), np.float32)
        self._waiting = np.zeros(_BEFORE, np.float32)  # what stands before the next window, and its beginning

    def feed(self, samples: np.ndarray) -> np.ndarray:
        """float32 [n] at 16 kHz -> probabilities [windows] of the windows that are now complete, in order."""
        sound = np.concatenate((self._waiting, samples.astype(np.float32, copy=False)))
        windows = (len(sound) - _BEFORE) // WINDOW
        self._waiting = sound[windows * WINDOW :].copy()
        found = [np.zeros(0, np.float32)]
        if windows:
            framed = np.lib.stride_tricks.sliding_window_view(sound, _BEFORE + WINDOW)[::WINDOW]
            found += [self._run(framed[i : i + _MOST_WINDOWS]) for i in range(0, windows, _MOST_WINDOWS)]
        return np.concatenate(found)

    def _run(self, framed: np.ndarray) -> np.ndarray:
        fed = {"input": np.ascontiguousarray(framed), "h": self._hidden, "c": self._cell}
        found, self._hidden, self._cell = self._model.run(["speech_probs", "hn", "cn"], fed)
        return np.asarray(found)


@cache
def _silero() -> onnxruntime.InferenceSession:
    """The model, which holds no state: one serves all."""
    package = find_spec("silero_vad")  # found, not imported: its code is not needed
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("silero-vad is not installed; install thinktalk with its dependencies")
    path = Path(package.submodule_search_locations[0]) / "data" / "silero_vad_16k_sequence.onnx"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


# --------------------------------------------------------------------------- turns


@dataclass(frozen=True)
class Started:
    """Somebody speaks. `at_ms`: where the turn begins, what is kept before the first sound included."""

    at_ms: int


@dataclass(frozen=True)
class Stopped:
    """Nobody speaks any more. `at_ms`: where the turn ends, the silence that ended it included."""

    at_ms: int


class Turns:
    """Probabilities to the turns of a speaker, as OpenAI's `server_vad` has them.

    A turn starts when two windows in a row reach `threshold`, and is dated `prefix_ms` before them, but not before
    the end of the last turn. It stops after `silence_ms` without speech; a little under the threshold is still
    speech. All three may be changed at any time. Milliseconds count from the first sample ever fed.
    """

    _ONSET = 2  # windows: a click is no turn
    _LENIENCE = 0.15  # under the threshold, within a turn; as silero-vad does

    def __init__(self, threshold: float = 0.5, prefix_ms: int = 300, silence_ms: int = 500) -> None:
        self.threshold, self.prefix_ms, self.silence_ms = threshold, prefix_ms, silence_ms
        self.speaking = False
        self.silent_ms = 0  # since the last speech; goes on from turn to turn
        self._windows = 0
        self._loud = 0  # windows in a row that may be a beginning
        self._free_from_ms = 0  # the end of the last turn

    def feed(self, probabilities: np.ndarray) -> list[Started | Stopped]:
        """What happens in the next windows, in order."""
        events = (self._next(probability) for probability in probabilities.tolist())
        return [event for event in events if event is not None]

    def _next(self, probability: float) -> Started | Stopped | None:
        self._windows += 1
        now_ms = self._windows * WINDOW_MS
        speech = probability >= self.threshold - self.speaking * self._LENIENCE
        self.silent_ms = 0 if speech else self.silent_ms + WINDOW_MS
        self._loud = self._loud + 1 if speech else 0
        if not self.speaking and self._loud >= self._ONSET:
            self.speaking = True
            return Started(max(self._free_from_ms, now_ms - self._ONSET * WINDOW_MS - self.prefix_ms))
        if self.speaking and self.silent_ms >= self.silence_ms:
            self.speaking, self._free_from_ms = False, now_ms
            return Stopped(now_ms)
        return None
