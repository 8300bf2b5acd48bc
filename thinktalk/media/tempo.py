"""Speech that is spoken faster or slower, at its own pitch, while it comes."""

from fractions import Fraction

import av
import av.error
import av.filter
import numpy as np

from thinktalk.contracts import UserError

SLOWEST, FASTEST = 0.25, 4.0
_SLOWEST_STEP = 0.5  # what FFmpeg's filter takes; slower is two of them


class Tempo:
    """Plays mono samples at `rate` Hz `speed` times as fast. At 1 they are given back as they are.

    Waits for some 50 ms of sound. Raises UserError unless `speed` is 0.25 to 4.
    """

    def __init__(self, rate: int, speed: float) -> None:
        if not SLOWEST <= speed <= FASTEST:
            raise UserError(f"speed is {SLOWEST:g} to {FASTEST:g}; got {speed:g}")
        self._rate = rate
        self._graph = None if speed == 1 else _graph(rate, speed)
        self._position = 0

    def feed(self, samples: np.ndarray) -> np.ndarray:
        """float32 [n] -> what is ready of some n / speed."""
        if self._graph is None or len(samples) == 0:
            return samples
        frame = av.AudioFrame.from_ndarray(
            samples.astype(np.float32, copy=False)[None], format="flt", layout="mono"
        )
        frame.sample_rate, frame.pts = self._rate, self._position
        self._position += len(samples)
        self._graph.push(frame)
        return self._ready(self._graph)

    def finish(self) -> np.ndarray:
        """What is left."""
        if self._graph is None or self._position == 0:
            return np.zeros(0, np.float32)
        self._graph.push(None)
        return self._ready(self._graph)

    def _ready(self, graph: av.filter.Graph) -> np.ndarray:
        pieces = [np.zeros(0, np.float32)]
        while True:
            try:
                frame = graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):  # nothing more for now, or ever
                return np.concatenate(pieces)
            assert isinstance(frame, av.AudioFrame)
            pieces.append(frame.to_ndarray()[0])


def _graph(rate: int, speed: float) -> av.filter.Graph:
    steps = [speed] if speed >= _SLOWEST_STEP else [_SLOWEST_STEP, speed / _SLOWEST_STEP]
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=rate, format="flt", layout="mono", time_base=Fraction(1, rate))
    graph.link_nodes(source, *(graph.add("atempo", str(step)) for step in steps), graph.add("abuffersink"))
    graph.configure()
    return graph
