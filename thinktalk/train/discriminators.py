"""Judges of sound for adversarial training; thrown away after it.

By periods: samples that are p apart stand side by side, so that what repeats is seen (HiFi-GAN, arXiv
2010.05646, section 2.3). By spectra: complex STFTs at several resolutions (EnCodec, arXiv 2210.13438, section 3.4).
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

SLOPE = 0.1  # of the rectifier below zero


class PeriodDiscriminator(nn.Module):
    """sound [b, samples] -> feature maps [b, channels, samples / period / 3^i, period], the score last."""

    def __init__(self, period: int, width: int):
        super().__init__()
        self.period = period
        channels = [1, width, 4 * width, 16 * width, 32 * width]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(inputs, outputs, (5, 1), (3, 1), padding=(2, 0)))
            for inputs, outputs in pairwise(channels)
        )
        self.score = weight_norm(nn.Conv2d(channels[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, sound: Tensor) -> list[Tensor]:
        sound = F.pad(sound, (0, -sound.shape[-1] % self.period))
        return _maps(sound.unflatten(-1, (-1, self.period))[:, None], self.layers, self.score)


class SpectralDiscriminator(nn.Module):
    """sound [b, samples] -> feature maps [b, channels, frames, bins / 2^i] of its STFT, the score last."""

    window: Tensor

    def __init__(self, size: int, width: int):
        super().__init__()
        self.size = size
        self.register_buffer("window", torch.hann_window(size), persistent=False)
        convolutions = [nn.Conv2d(2, width, (3, 9), padding=(1, 4))]
        for dilation in (1, 2, 4):  # farther and farther in time, coarser and coarser in pitch
            convolutions.append(
                nn.Conv2d(width, width, (3, 9), (1, 2), padding=(dilation, 4), dilation=(dilation, 1))
            )
        self.layers = nn.ModuleList(weight_norm(convolution) for convolution in convolutions)
        self.score = weight_norm(nn.Conv2d(width, 1, (3, 3), padding=1))

    def forward(self, sound: Tensor) -> list[Tensor]:
        spectrum = torch.stft(
            sound, self.size, self.size // 4, window=self.window, normalized=True, return_complex=True
        )
        return _maps(torch.view_as_real(spectrum).permute(0, 3, 2, 1), self.layers, self.score)


class Discriminators(nn.Module):
    """All judges of a sound [b, samples]: a list of feature maps each."""

    def __init__(
        self,
        periods: Sequence[int] = (2, 3, 5, 7, 11),
        sizes: Sequence[int] = (2048, 1024, 512),
        width: int = 32,
    ):
        super().__init__()
        self.judges = nn.ModuleList(
            [PeriodDiscriminator(period, width) for period in periods]
            + [SpectralDiscriminator(size, width) for size in sizes]
        )

    def forward(self, sound: Tensor) -> list[list[Tensor]]:
        return [judge(sound) for judge in self.judges]


def _maps(x: Tensor, layers: nn.ModuleList, score: nn.Module) -> list[Tensor]:
    maps = []
    for layer in layers:
        x = F.leaky_relu(layer(x), SLOPE)
        maps.append(x)
    return [*maps, score(x)]
