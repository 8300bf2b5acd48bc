"""Muon: momentum for matrices, with all its singular values made alike (Keller Jordan, 2024).

torch has one that computes in bfloat16 alone, one matrix after the other: on a CPU that only emulates bfloat16 its
step took longer than all else in a step of training. Where a CPU has bfloat16, it is four times as fast as float32.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # steep at zero: five rounds bring small values near one
ROUNDS = 5


class Muon(torch.optim.Optimizer):
    """Steps as large as AdamW's at the same rate (Moonlight, arXiv 2502.16982, section 2.2).

    Takes matrices [.., outputs, inputs]; of a stack each is by itself. Those of a shape are computed together, with the
    singular values made alike in `precision`: what is kept and what learns stay as they are.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        precision: torch.dtype = torch.float32,
    ):
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "precision": precision}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take a step with the gradients there are; `closure` is not used."""
        for group in self.param_groups:
            alike = defaultdict[torch.Size, list[Tensor]](list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[parameter.shape].append(parameter)
            for shape, parameters in alike.items():
                ways = torch.stack([self._way(one, group["momentum"]) for one in parameters])
                ways = orthogonal(ways.to(group["precision"]))
                rate = group["lr"] * 0.2 * math.sqrt(max(shape[-2:]))
                for parameter, way in zip(parameters, ways, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(
                        way.to(parameter), alpha=rate
                    )

    def _way(self, parameter: Tensor, momentum: float) -> Tensor:
        """Where Nesterov's momentum leads, which is kept."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        kept = state["momentum_buffer"].lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(kept, momentum)


def orthogonal(matrices: Tensor) -> Tensor:
    """Matrices [.., m, n] -> the same singular vectors with values between .7 and 1.2, by Newton and Schulz."""
    x = matrices.flatten(0, -3) if matrices.ndim > 2 else matrices[None]
    is_tall = x.shape[-2] > x.shape[-1]
    x = x.mT if is_tall else x
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(ROUNDS):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return (x.mT if is_tall else x).reshape(matrices.shape)
