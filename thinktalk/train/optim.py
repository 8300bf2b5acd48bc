"""Optimisers, and the clipping of gradients that may be spread over processes."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from thinktalk.parallel.layers import layers_of
from thinktalk.train.plan import Plan


def optimisers_for(module: nn.Module, plan: Plan) -> list[torch.optim.Optimizer]:
    """AdamW for all that learns in `module`; or Muon for the matrices of its hidden layers, and AdamW for the rest.

    Muon's updates are scaled to the size of AdamW's, so both go by one rate and one decay (Moonlight, arXiv
    2502.16982, section 2.2). Fused experts are stacks of matrices, which torch's Muon does not take.
    """
    learning = [p for p in module.parameters() if p.requires_grad]
    hidden = set(hidden_matrices(module)) if plan.optimiser == "muon" else set()
    optimisers: list[torch.optim.Optimizer] = []
    if matrices := [p for p in learning if p in hidden]:
        optimisers.append(
            torch.optim.Muon(
                matrices,
                lr=plan.learning_rate,
                weight_decay=plan.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    if rest := [p for p in learning if p not in hidden]:
        groups = [
            {"params": some, "weight_decay": decay}
            for decay, chosen in (
                (plan.weight_decay, [p for p in rest if p.ndim > 1]),
                (0.0, [p for p in rest if p.ndim <= 1]),
            )
            for some in _by_mesh(chosen)
        ]
        optimisers.append(torch.optim.AdamW(groups, lr=plan.learning_rate, betas=plan.betas))
    return optimisers


def hidden_matrices(module: nn.Module) -> list[Tensor]:
    """The weights of linear maps inside repeated layers: neither tables nor heads, norms, biases or convolutions."""
    return [
        part.weight
        for layer in layers_of(module)
        for part in layer.modules()
        if isinstance(part, nn.Linear) and part.weight.requires_grad
    ]


def clip(parameters: Iterable[nn.Parameter], most: float) -> Tensor:
    """Scale all gradients so that their common norm is at most `most` -> the norm [] before, over all processes."""
    learnt = [p for p in parameters if p.grad is not None]
    norms = [_whole(get_total_norm([_gradient(p) for p in some])) for some in _by_mesh(learnt)]
    norm = norms[0] if len(norms) == 1 else torch.stack(norms).norm()
    for some in _by_mesh(learnt):
        clip_grads_with_norm_(some, most, norm)
    return norm


def _by_mesh(parameters: Sequence[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Apart by the processes they are spread over; what is not spread is one list. torch does not mix them."""
    groups = defaultdict(list)
    for parameter in parameters:
        groups[getattr(parameter, "device_mesh", None)].append(parameter)
    return list(groups.values())


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def _whole(tensor: Tensor) -> Tensor:
    """A tensor that may be spread over processes, put together."""
    full: Callable[[], Any] | None = getattr(tensor, "full_tensor", None)
    return tensor if full is None else full()
