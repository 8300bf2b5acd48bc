"""Root-mean-square norm, and the learnt scale of a residual branch."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class RMSNorm(nn.Module):
    """Normalises the last axis in float32, casts back, then scales."""

    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return _Learning.apply(x, self.weight, self.eps)
        return self.weight * _unit(x, self.eps)[0]


def _unit(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """x normalised, and by what it was multiplied, [.., 1] in float32."""
    x32 = x.float()
    inverse = torch.rsqrt(x32.pow(2).mean(-1, keepdim=True) + eps)
    return (x32 * inverse).to(x.dtype), inverse


class _Learning(torch.autograd.Function):
    """The norm with its gradient by hand. Autograd's goes over memory twice as often, and keeps x in float32 for it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        unit, inverse = _unit(x, eps)
        ctx.save_for_backward(unit, weight, inverse)
        return weight * unit

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None]:  # type: ignore[override]
        """Of x: what the norm would lengthen is taken away, unit * mean(unit * weight * gradient)."""
        unit, weight, inverse = ctx.saved_tensors
        unit32, gradient, weight32 = unit.float(), gradient.float(), weight.float()
        product = unit32 * gradient
        along = (product @ weight32)[..., None] / -len(weight)
        of_x = (gradient * weight32).addcmul_(unit32, along).mul_(inverse)
        of_weight = product.flatten(0, -2).sum(0).to(weight.dtype) if ctx.needs_input_grad[1] else None
        return of_x.to(unit.dtype), of_weight, None


class LayerScale(nn.Module):
    """A residual branch, scaled per channel."""

    def __init__(self, width: int, initial: float):
        super().__init__()
        self.scale = nn.Parameter(torch.full((width,), initial))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x
