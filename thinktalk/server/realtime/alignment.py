"""How much of a reply's text has been said at a moment of its sound.

The model does not tell which sound says which letter, so it is estimated: letters are spread evenly over the
moments that are not silent. Of a finished reply all letters and all sound are known. Of one that was stopped the
text runs ahead of the sound, and the pace is taken from before. A word counts when all of it has been said.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np

from thinktalk.rates import SPEAKING_RATE

SILENT = 0.01  # root mean square of a chunk, of full scale
PACE = 15.0  # letters for each second that is not silent: English at an even pace


@dataclass
class SpokenText:
    """The text and the sound of one reply, as they come. Times are in ms of the sound that is sent."""

    text: str = ""
    finished: bool = False
    _ends: list[float] = field(default_factory=list)  # of each chunk
    _voiced: list[float] = field(default_factory=list)  # ms that are not silent up to that end

    @property
    def milliseconds(self) -> float:
        return self._ends[-1] if self._ends else 0.0

    @property
    def pace(self) -> float | None:
        """Letters for each second that is not silent; None where that is not known."""
        if not self.finished or not self.text or self._voiced_until(self.milliseconds) < 200:
            return None
        return 1000 * len(self.text) / self._voiced_until(self.milliseconds)

    def say(self, samples: np.ndarray) -> None:
        """Sound, float32 [n] at 24 kHz, follows."""
        if len(samples) == 0:
            return
        length = 1000 * len(samples) / SPEAKING_RATE
        is_voiced = float(np.sqrt(np.mean(np.square(samples)))) > SILENT
        self._voiced.append((self._voiced[-1] if self._voiced else 0.0) + (length if is_voiced else 0.0))
        self._ends.append(self.milliseconds + length)

    def until(self, milliseconds: float, pace: float = PACE) -> str:
        """The text that has been said by then, in whole words; `pace` counts where there is no better."""
        if self.finished and milliseconds >= self.milliseconds:
            return self.text
        letters = (self.pace or pace) * self._voiced_until(milliseconds) / 1000
        ends = [word.end() for word in re.finditer(r"\S+", self.text)]
        heard = bisect_right(ends, letters + 0.5)
        return self.text[: ends[heard - 1]] if heard else ""

    def _voiced_until(self, milliseconds: float) -> float:
        if not self._ends or milliseconds <= 0:
            return 0.0
        chunk = bisect_right(self._ends, milliseconds)
        if chunk == len(self._ends):
            return self._voiced[-1]
        begin, before = (self._ends[chunk - 1], self._voiced[chunk - 1]) if chunk else (0.0, 0.0)
        share = (milliseconds - begin) / (self._ends[chunk] - begin)
        return before + share * (self._voiced[chunk] - before)
