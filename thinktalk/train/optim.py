"""Optimisers, and the clipping of gradients that may be spread over processes."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from thinktalk.nn.moe import SparseMoe
from thinktalk.parallel.layers import layers_of
from thinktalk.parallel.world import summed
from thinktalk.train.muon import Muon
from thinktalk.train.plan import Plan


def optimisers_for(module: nn.Module, plan: Plan) -> list[torch.optim.Optimizer]:
    """AdamW for all that learns in `module`; or Muon for the matrices of its hidden layers, and AdamW for the rest.

    Muon's updates are scaled to the size of AdamW's (Moonlight, arXiv 2502.16982, section 2.2), and then to
    `muon_rate` of it. Each group's "share" is its part of the plan's rate.
    """
    learning = [p for p in module.parameters() if p.requires_grad]
    hidden = set(hidden_matrices(module)) if plan.optimiser == "muon" else set()
    optimisers: list[torch.optim.Optimizer] = []
    if matrices := [p for p in learning if p in hidden]:
        muon = _muon(spread=hasattr(matrices[0], "full_tensor"))
        group = {"params": matrices, "share": plan.muon_rate}
        precision = torch.bfloat16 if plan.muon_precision == "bf16" else torch.float32
        optimisers.append(
            muon([group], lr=plan.learning_rate, weight_decay=plan.weight_decay, precision=precision)
        )
    if rest := sorted((p for p in learning if p not in hidden), key=lambda p: p.ndim <= 1):
        groups = [
            {"params": some, "weight_decay": plan.weight_decay if is_matrix else 0.0, "share": 1.0}
            for (is_matrix, _), some in _by(lambda p: (p.ndim > 1, _mesh(p)), rest)
        ]
        optimisers.append(torch.optim.AdamW(groups, lr=plan.learning_rate, betas=plan.betas))
    return optimisers


def hidden_matrices(module: nn.Module) -> list[Tensor]:
    """The weights of linear maps and experts inside repeated layers: neither tables nor heads, norms, biases or
    convolutions."""
    parts = [part for layer in layers_of(module) for part in layer.modules()]
    maps = [part.weight for part in parts if isinstance(part, nn.Linear)]
    mixtures = [
        part.experts for part in parts if isinstance(part, SparseMoe)
    ]  # which may be spread over processes
    experts = [weight for some in mixtures for weight in (some.gate_up_proj, some.down_proj)]
    return [weight for weight in (*maps, *experts) if weight.requires_grad]


def clip(parameters: Iterable[nn.Parameter], most: float) -> Tensor:
    """Scale all gradients so that their common norm is at most `most` -> the norm [] before, over all processes."""
    given = [p.grad for p in parameters if p.grad is not None]
    is_spread = hasattr(given[0], "to_local")  # then each process has a part of every one
    parts = [gradient.to_local() for gradient in given] if is_spread else given  # type: ignore[attr-defined]
    norm = get_total_norm(parts)
    if is_spread:
        norm = summed(norm.square()).sqrt()
    scale = (most / (norm + 1e-6)).clamp(max=1.0)
    for part in parts:
        part.mul_(scale)
    return norm


def _muon(spread: bool) -> type[Muon]:
    if not spread:
        return Muon
    from thinktalk.train.spread_muon import SpreadMuon

    return SpreadMuon


def _mesh(parameter: Tensor) -> Any:
    """The processes that a parameter is spread over; torch does not mix them."""
    return getattr(parameter, "device_mesh", None)


def _by(key: Callable[[Tensor], Any], parameters: Sequence[Tensor]) -> list[tuple[Any, list[Tensor]]]:
    """Parameters apart by a key."""
    groups = defaultdict(list)
    for parameter in parameters:
        groups[key(parameter)].append(parameter)
    return list(groups.items())
