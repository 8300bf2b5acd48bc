"""What a function makes of a tensor, and its gradients: to hold those by hand beside autograd's."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def with_gradients(
    function: Callable[[Tensor], Tensor], module: nn.Module, seen: Tensor, dtype: torch.dtype
) -> list[Tensor]:
    """function(seen), then the gradients of a weighted sum of it: of what was seen, and of all weights of `module`."""
    x = seen.to(dtype, copy=True).requires_grad_()
    module.zero_grad()
    y = function(x)
    (y * torch.linspace(-1, 1, y.numel()).view(y.shape).to(dtype)).sum().backward()
    gradients = []
    for learnt in (x, *module.parameters()):
        assert learnt.grad is not None and learnt.grad.dtype == dtype
        gradients.append(learnt.grad)
    return [y, *gradients]
