"""Rotary positions: one-dimensional, and the three interleaved rows of TM-RoPE (report, section 2.3)."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

Rope = tuple[Tensor, Tensor]  # cos, sin: [b, n, head_dim]


def rotary(positions: Tensor, head_dim: int, theta: float, dtype: torch.dtype) -> Rope:
    """Cosines and sines [b, n, head_dim] of positions [b, n] (may be fractional), computed in float32."""
    return _cos_sin(positions[..., None].float() * frequencies(head_dim, theta, positions.device), dtype)


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # what is kept may be used in training later
def rotary_table(length: int, head_dim: int, theta: float, dtype: torch.dtype, device: torch.device) -> Rope:
    """`rotary` [1, length, head_dim] of the first positions."""
    return rotary(torch.arange(length, device=device)[None], head_dim, theta, dtype)


def multimodal_rotary(
    positions: Tensor, head_dim: int, theta: float, section: Sequence[int], dtype: torch.dtype
) -> Rope:
    """As `rotary`, for positions [3, b, n] in time, height and width.

    `section` counts the frequencies of each row. They are interleaved: t h w t h w ... until height and
    width have had theirs; the rest is time.
    """
    row, per_position = interleaved(head_dim, theta, tuple(section), positions.device)
    return _cos_sin(positions.float()[row].movedim(0, -1) * per_position, dtype)


def rotate(x: Tensor, rope: Rope) -> Tensor:
    """Turn x [b, heads, n, head_dim]; the two halves of the last axis are the two coordinates."""
    cos, sin = (part.unsqueeze(1) for part in rope)
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def frequencies(head_dim: int, theta: float, device: torch.device) -> Tensor:
    """Angles per position: [head_dim / 2]."""
    return theta ** -(torch.arange(0, head_dim, 2, device=device).float() / head_dim)


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def interleaved(
    head_dim: int, theta: float, section: tuple[int, ...], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Of each frequency [head_dim / 2], the row that it belongs to, and its angle per position."""
    row = torch.zeros(head_dim // 2, dtype=torch.long)
    for other in (1, 2):
        row[other : 3 * section[other] : 3] = other
    return row.to(device), frequencies(head_dim, theta, device)


def _cos_sin(angles: Tensor, dtype: torch.dtype) -> Rope:
    cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
    return torch.cat((cos, cos), dim=-1), torch.cat((sin, sin), dim=-1)
