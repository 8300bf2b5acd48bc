"""Gated feed-forward, and the sparse mixture of many of them (report, section 2.1)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GatedMLP(nn.Module):
    """down(silu(gate x) * up x)."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Experts(nn.Module):
    """The weights of all experts, fused: gate and up [experts, 2 inner, width], down [experts, width, inner]."""

    def __init__(self, experts: int, width: int, inner: int):
        super().__init__()
        self.gate_up_proj = nn.Parameter(torch.empty(experts, 2 * inner, width))
        self.down_proj = nn.Parameter(torch.empty(experts, width, inner))
        nn.init.normal_(self.gate_up_proj, std=0.02)
        nn.init.normal_(self.down_proj, std=0.02)

    def forward(self, x: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """x [n, width], chosen and weights [n, k] -> the weighted sum of each row's k experts [n, width]."""
        top_k = chosen.shape[1]
        order = chosen.flatten().argsort(stable=True)  # rows grouped by expert
        rows = order // top_k
        counts = torch.bincount(chosen.flatten(), minlength=len(self.gate_up_proj)).tolist()
        outputs = [self.expert(index, part) for index, part in enumerate(x[rows].split(counts)) if len(part)]
        weighted = torch.cat(outputs) * weights.flatten()[order, None]
        return torch.zeros_like(x).index_add_(0, rows, weighted)

    def expert(self, index: int, x: Tensor) -> Tensor:
        """What one expert makes of the rows x [n, width] that came to it."""
        return feed_forward(x, self.gate_up_proj[index], self.down_proj[index])


def feed_forward(x: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """One expert on its rows: x [n, width], gate_up [2 inner, width], down [width, inner] -> [n, width]."""
    gate, up = F.linear(x, gate_up).chunk(2, dim=-1)
    return F.linear(F.silu(gate) * up, down)


class SparseMoe(nn.Module):
    """Each row goes to its `top_k` likeliest experts, and to the shared expert where there is one."""

    def __init__(self, width: int, experts: int, top_k: int, inner: int, renormalise: bool, shared: int = 0):
        super().__init__()
        self.top_k = top_k
        self.renormalise = renormalise
        self.gate = nn.Linear(width, experts, bias=False)
        self.experts = Experts(experts, width, inner)
        self.shared_expert = GatedMLP(width, shared) if shared else None
        self.shared_expert_gate = nn.Linear(width, 1, bias=False) if shared else None

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(0, -2)
        weights, chosen = self.gate(flat).softmax(-1, dtype=torch.float32).topk(self.top_k, dim=-1)
        if self.renormalise:
            weights = weights / weights.sum(-1, keepdim=True)
        mixed = self.experts(flat, chosen, weights.to(x.dtype))
        if self.shared_expert is not None and self.shared_expert_gate is not None:
            mixed = mixed + self.shared_expert_gate(flat).sigmoid() * self.shared_expert(flat)
        return mixed.view_as(x)
