"""Mel filters on Slaney's scale: linear below 1 kHz, logarithmic above, each filter of unit area."""

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

_BREAK_HZ = 1000.0
_HZ_PER_MEL = 200 / 3
_MELS_PER_LOG = 27 / math.log(6.4)  # 27 mels take the frequency from 1 kHz to 6.4 kHz


def mel_filters(rate: int, n_fft: int, bins: int) -> Tensor:
    """Triangular filters [bins, n_fft / 2 + 1] from 0 Hz to rate / 2, float32."""
    edges = _hertz(torch.linspace(0, _mel(rate / 2), bins + 2, dtype=torch.float64))
    hertz = torch.linspace(0, rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    rising = (hertz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hertz) / (edges[2:] - edges[1:-1])[:, None]
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).float()


def natural_log_mel(samples: Tensor, filters: Tensor, window: Tensor, hop: int) -> Tensor:
    """samples [b, n] -> natural log of the mel magnitudes [b, bins, n / hop]; frames begin and end with the samples."""
    samples = pad(samples, ((len(window) - hop) // 2,) * 2)
    spectrum = torch.stft(samples, len(window), hop, window=window, center=False, return_complex=True)
    return (filters @ spectrum.abs()).clamp(min=1e-5).log()


def _mel(hertz: float) -> float:
    if hertz < _BREAK_HZ:
        return hertz / _HZ_PER_MEL
    return _BREAK_HZ / _HZ_PER_MEL + math.log(hertz / _BREAK_HZ) * _MELS_PER_LOG


def _hertz(mel: Tensor) -> Tensor:
    knee = _BREAK_HZ / _HZ_PER_MEL
    return torch.where(mel < knee, mel * _HZ_PER_MEL, _BREAK_HZ * ((mel - knee) / _MELS_PER_LOG).exp())
