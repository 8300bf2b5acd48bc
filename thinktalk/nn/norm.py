"""Root-mean-square norm, and the learnt scale of a residual branch."""

import torch
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """Normalises the last axis in float32, casts back, then scales."""

    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        x32 = x.float()
        x32 = x32 * torch.rsqrt(x32.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * x32.to(x.dtype)


class LayerScale(nn.Module):
    """A residual branch, scaled per channel."""

    def __init__(self, width: int, initial: float):
        super().__init__()
        self.scale = nn.Parameter(torch.full((width,), initial))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x
