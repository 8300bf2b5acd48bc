"""Rotary positions: one-dimensional, and the three interleaved rows of TM-RoPE (report, section 2.3)."""

from collections.abc import Sequence

import torch
from torch import Tensor

Rope = tuple[Tensor, Tensor]  # cos, sin: [b, n, head_dim]


def rotary(positions: Tensor, head_dim: int, theta: float, dtype: torch.dtype) -> Rope:
    """Cosines and sines [b, n, head_dim] of positions [b, n] (may be fractional), computed in float32."""
    return _cos_sin(positions[..., None].float() * frequencies(head_dim, theta, positions.device), dtype)


def multimodal_rotary(
    positions: Tensor, head_dim: int, theta: float, section: Sequence[int], dtype: torch.dtype
) -> Rope:
    """As `rotary`, for positions [3, b, n] in time, height and width.

    `section` counts the frequencies of each row. They are interleaved: t h w t h w ... until height and
    width have had theirs; the rest is time.
    """
    angles = positions[..., None].float() * frequencies(head_dim, theta, positions.device)  # [3, b, n, f]
    mixed = angles[0].clone()
    for row in (1, 2):
        picked = slice(row, 3 * section[row], 3)
        mixed[..., picked] = angles[row, ..., picked]
    return _cos_sin(mixed, dtype)


def rotate(x: Tensor, rope: Rope) -> Tensor:
    """Turn x [b, heads, n, head_dim]; the two halves of the last axis are the two coordinates."""
    cos, sin = (part.unsqueeze(1) for part in rope)
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


def frequencies(head_dim: int, theta: float, device: torch.device) -> Tensor:
    """Angles per position: [head_dim / 2]."""
    return theta ** -(torch.arange(0, head_dim, 2, device=device).float() / head_dim)


def _cos_sin(angles: Tensor, dtype: torch.dtype) -> Rope:
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos().to(dtype), angles.sin().to(dtype)
