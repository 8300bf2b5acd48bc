"""Gated feed-forward, and the sparse mixture of many of them (report, section 2.1)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thinktalk.nn.steady import at_least

FEW = 32  # rows; from some 64 on it is quicker to sort them by their experts


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

    fused = True  # the two weights are all there is to an expert

    def __init__(self, experts: int, width: int, inner: int):
        super().__init__()
        self.gate_up_proj = nn.Parameter(torch.empty(experts, 2 * inner, width))
        self.down_proj = nn.Parameter(torch.empty(experts, width, inner))
        nn.init.normal_(self.gate_up_proj, std=0.02)
        nn.init.normal_(self.down_proj, std=0.02)

    def forward(self, x: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """x [n, width], chosen and weights [n, k] -> the weighted sum of each row's k experts [n, width]."""
        experts, top_k = len(self.gate_up_proj), chosen.shape[1]
        if self.fused and len(x) <= FEW and experts <= 4 * top_k and not torch.is_grad_enabled():
            return self.by_all(x, chosen, weights)
        order = chosen.flatten().argsort(stable=True)  # rows grouped by expert
        rows = order // top_k
        counts = torch.bincount(chosen.flatten(), minlength=experts).tolist()
        outputs = [self.expert(index, part) for index, part in enumerate(x[rows].split(counts)) if len(part)]
        weighted = torch.cat(outputs) * weights.flatten()[order, None]
        return torch.zeros_like(x).index_add_(0, rows, weighted)

    def by_all(self, x: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """`forward` by every expert on every row, for nothing where not chosen: few rows take fewer operations so."""
        weights = weights.new_zeros(len(x), len(self.gate_up_proj)).scatter_(1, chosen, weights)
        gate, up = torch.matmul(x, self.gate_up_proj.transpose(1, 2)).chunk(2, dim=-1)  # [experts, n, inner]
        outputs = torch.matmul(F.silu(gate) * up, self.down_proj.transpose(1, 2))
        return (outputs * weights.T[..., None]).sum(0)

    def expert(self, index: int, x: Tensor) -> Tensor:
        """What one expert makes of the rows x [n, width] that came to it."""
        return feed_forward(at_least(x), self.gate_up_proj[index], self.down_proj[index])[: len(x)]


def feed_forward(x: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """One expert on its rows: x [n, width], gate_up [2 inner, width], down [width, inner] -> [n, width]."""
    gate, up = F.linear(x, gate_up).chunk(2, dim=-1)
    return F.linear(F.silu(gate) * up, down)


class SteadyGate(nn.Linear):
    """x [.., width] -> [.., 1]. A product with a single column depends on the number of rows (see `steady`)."""

    def __init__(self, width: int):
        super().__init__(width, 1, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight.expand(2, -1))[..., :1]


class SparseMoe(nn.Module):
    """Each row goes to its `top_k` likeliest experts, and to the shared expert where there is one."""

    def __init__(self, width: int, experts: int, top_k: int, inner: int, renormalise: bool, shared: int = 0):
        super().__init__()
        self.top_k = top_k
        self.renormalise = renormalise
        self.gate = nn.Linear(width, experts, bias=False)
        self.experts = Experts(experts, width, inner)
        self.shared_expert = GatedMLP(width, shared) if shared else None
        self.shared_expert_gate = SteadyGate(width) if shared else None

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(0, -2)
        weights, chosen = self.gate(flat).softmax(-1, dtype=torch.float32).topk(self.top_k, dim=-1)
        if self.renormalise:
            weights = weights / weights.sum(-1, keepdim=True)
        mixed = self.experts(flat, chosen, weights.to(x.dtype))
        if self.shared_expert is not None and self.shared_expert_gate is not None:
            mixed = mixed + self.shared_expert_gate(flat).sigmoid() * self.shared_expert(flat)
        return mixed.view_as(x)
