"""Two readings of one text laid beside each other, by dynamic time warping (Sakoe and Chiba, 1978).

What is compared is the shape of the spectrum, by cepstra without loudness, each on the scale of its own reading: two
voices differ in the mean of theirs before they differ in anything else. And what an ear that has learnt to read hears in
them: a vowel of one voice may have the spectrum of another vowel of the other.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from thinktalk.features.filterbank import mel_filters, natural_log_mel
from thinktalk.models.codec.encoder import MEL_HOP, N_FFT
from thinktalk.rates import SPEAKING_RATE

HOP = MEL_HOP  # samples
BANDS, CEPSTRA = 80, 20
SILENT = 6.0  # nepers under the loudest moment
SILENCE = 3.0  # how far silence is from speech, in deviations of a cepstrum


def beside(own: Tensor, other: Tensor, heard: Callable[[Tensor], Tensor]) -> Tensor:
    """Sounds [n] and [m] at 24 kHz -> for every hop of the first [n // HOP] the sample of the other at which the same is
    said, float32. Both count from the middle of a hop. `heard` gives what is heard at each [hops, width] of a sound."""
    ear, ear_of_other = heard(own), heard(other)
    spread = ear.std(0, correction=0).norm().clamp(min=1e-3)
    costs = torch.cdist(_shape(own), _shape(other)) / CEPSTRA**0.5 + torch.cdist(ear, ear_of_other) / spread
    path = cheapest(costs.numpy())
    total, count = np.zeros(path[-1, 0] + 1), np.zeros(path[-1, 0] + 1)
    np.add.at(total, path[:, 0], path[:, 1])
    np.add.at(count, path[:, 0], 1)
    return torch.from_numpy((total / count + 0.5) * HOP).float()


def cheapest(costs: np.ndarray) -> np.ndarray:
    """Costs [n, m] -> the path [steps, 2] through them from first to last that adds up to least, forward or aside."""
    rows, columns = costs.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0
    for both in range(2, rows + columns + 1):  # diagonal by diagonal, each at once
        row = np.arange(max(1, both - columns), min(rows, both - 1) + 1)
        column = both - row
        before = (total[row - 1, column - 1], total[row - 1, column], total[row, column - 1])
        total[row, column] = costs[row - 1, column - 1] + np.minimum.reduce(before)
    path = [(rows, columns)]
    while path[-1] != (1, 1):
        row, column = path[-1]
        path.append(
            min(((row - 1, column - 1), (row - 1, column), (row, column - 1)), key=lambda at: total[at])
        )
    return np.array(path[::-1]) - 1


def _shape(sound: Tensor) -> Tensor:
    """Sound [n] -> what of each hop says which sound it is [n // HOP, CEPSTRA]."""
    filters = mel_filters(SPEAKING_RATE, N_FFT, BANDS)
    mel = natural_log_mel(sound, filters, torch.hann_window(N_FFT), HOP).T
    loudness = mel.mean(1)
    speaks = loudness > loudness.max() - SILENT
    cepstra = mel @ _cosines()
    mean, deviation = cepstra[speaks].mean(0), cepstra[speaks].std(0, correction=0).clamp(min=1e-3)
    return torch.cat(((cepstra - mean) / deviation, torch.where(speaks, 0.0, -SILENCE)[:, None]), dim=1)


def _cosines() -> Tensor:
    """Bands to cepstra [BANDS, CEPSTRA - 1], the mean left out."""
    middle = (torch.arange(BANDS) + 0.5) / BANDS
    return (math.pi * middle[:, None] * torch.arange(1, CEPSTRA)).cos() * (2 / BANDS) ** 0.5
