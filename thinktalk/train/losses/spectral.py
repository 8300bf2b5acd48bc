"""Distances between two sounds by their spectra (Parallel WaveGAN, arXiv 1910.11480, section 2.2)."""

from collections.abc import Sequence

import torch
from torch import Tensor

SIZES = (256, 512, 1024, 2048)  # of FFTs
FLOOR = 1e-4


def spectra(sound: Tensor) -> list[Tensor]:
    """Magnitudes [b, bins, frames] of sound [b, samples] at all resolutions."""
    return [magnitudes(sound, size) for size in SIZES]


def spectral_distance(guess: Sequence[Tensor], truth: Sequence[Tensor]) -> Tensor:
    """Mean over resolutions of the L1 of log magnitudes [b, bins, frames] plus the spectral convergence."""
    losses = [
        (a.log() - b.log()).abs().mean() + torch.linalg.norm(a - b) / torch.linalg.norm(b)
        for a, b in zip(guess, truth, strict=True)
    ]
    return torch.stack(losses).mean()


def magnitudes(sound: Tensor, size: int, floor: float = FLOOR) -> Tensor:
    """Smoothed magnitudes [b, bins, frames] of windows of `size` samples, a quarter of it apart, in sound [b, samples].

    sqrt(power + floor^2) has a finite gradient in silence, where a clamp has none.
    """
    window = torch.hann_window(size, device=sound.device)
    spectrum = torch.stft(sound, size, size // 4, window=window, center=False, return_complex=True)
    scale = window.sum() / 2
    return ((spectrum.real.square() + spectrum.imag.square()) / scale**2 + floor**2).sqrt()


def log_mel_distance(guess: Tensor, truth: Tensor, filters: Tensor, floor: float = FLOOR) -> Tensor:
    """L1 between log-mel spectra of magnitudes [b, bins, frames]; `filters` [mel bins, bins]."""
    return ((filters @ guess + floor).log() - (filters @ truth + floor).log()).abs().mean()
