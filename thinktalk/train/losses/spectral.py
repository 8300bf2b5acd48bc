"""Distances between two sounds by their spectra (Parallel WaveGAN, arXiv 1910.11480, section 2.2)."""

from collections.abc import Sequence

import torch
from torch import Tensor


def multi_resolution_spectral(
    guess: Tensor, truth: Tensor, sizes: Sequence[int] = (256, 512, 1024, 2048), floor: float = 1e-4
) -> Tensor:
    """Mean over FFT sizes of the L1 of log magnitudes plus the spectral convergence. Sounds: [b, samples]."""
    losses = [
        (a.log() - b.log()).abs().mean() + torch.linalg.norm(a - b) / torch.linalg.norm(b)
        for a, b in ((magnitudes(guess, size, floor), magnitudes(truth, size, floor)) for size in sizes)
    ]
    return torch.stack(losses).mean()


def magnitudes(sound: Tensor, size: int, floor: float) -> Tensor:
    """Smoothed magnitudes [b, bins, frames] of windows of `size` samples, a quarter of it apart.

    sqrt(power + floor^2) has a finite gradient in silence, where a clamp has none.
    """
    window = torch.hann_window(size, device=sound.device)
    spectrum = torch.stft(sound, size, size // 4, window=window, center=False, return_complex=True)
    scale = window.sum() / 2
    return ((spectrum.real.square() + spectrum.imag.square()) / scale**2 + floor**2).sqrt()


def log_mel_distance(guess: Tensor, truth: Tensor, filters: Tensor, size: int, floor: float = 1e-4) -> Tensor:
    """L1 between log-mel spectra; `filters` [mel bins, size / 2 + 1]."""
    a, b = (filters @ magnitudes(sound, size, floor) for sound in (guess, truth))
    return ((a + floor).log() - (b + floor).log()).abs().mean()
