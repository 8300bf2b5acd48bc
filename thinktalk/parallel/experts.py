"""Experts spread over processes, rows sent to them and back (GShard, arXiv 2006.16668, section 3.2).

Two all-to-alls carry every row to its `top_k` experts alone. Sending all rows to all processes and adding up
what comes back would be simpler by a few lines, and cost as many times the traffic as there are processes. The
pieces may be of any size, so no row is dropped and none is padding.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import Function
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from thinktalk.contracts import UserError
from thinktalk.nn.moe import Experts, SparseMoe, feed_forward


def share_experts(model: nn.Module, mesh: DeviceMesh) -> list[nn.Module]:
    """Give each process of the 1-D `mesh` its part of the experts of every layer -> what took their place."""
    shared: list[nn.Module] = []
    for moe in [module for module in model.modules() if isinstance(module, SparseMoe)]:
        count = len(moe.experts.gate_up_proj)
        if count % mesh.size():
            raise UserError(f"expert_parallel {mesh.size()} does not divide the number of experts, {count}")
        experts = SharedExperts(moe.experts, mesh)
        moe.register_module("experts", experts)
        shared.append(experts)
    return shared


class SharedExperts(nn.Module):
    """`Experts` of which each process holds as many as any other, in order of rank. Names stay as they were.

    A process's loss is a mean over its own rows, while its experts are taught by the rows of all: their
    gradients are divided by the number of processes, as everything else's are.
    """

    gate_up_proj: DTensor
    down_proj: DTensor

    def __init__(self, experts: Experts, mesh: DeviceMesh):
        super().__init__()
        self.group, self.processes = mesh.get_group(), mesh.size()
        for name, weight in experts.named_parameters():
            spread = distribute_tensor(weight.data, mesh, [Shard(0)])
            self.register_parameter(name, nn.Parameter(spread, requires_grad=weight.requires_grad))

    def forward(self, x: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """x [n, width], chosen and weights [n, k] -> the weighted sum of each row's k experts [n, width]."""
        order = chosen.flatten().argsort(stable=True)  # rows grouped by expert, and so by process
        rows = order // chosen.shape[1]
        own = len(self.gate_up_proj) // self.processes
        leaving = torch.bincount(chosen.flatten(), minlength=len(self.gate_up_proj))  # [expert]
        coming = torch.empty_like(leaving)  # [process, own expert]
        dist.all_to_all_single(coming, leaving, group=self.group)
        sizes_out = leaving.view(-1, own).sum(1).tolist()
        sizes_in = coming.view(-1, own).sum(1).tolist()

        guests: Tensor = Exchange.apply(x[rows], sizes_out, sizes_in, self.group)
        outputs = self._own(guests, torch.arange(own, device=x.device).repeat(self.processes), coming)
        back: Tensor = Exchange.apply(outputs, sizes_in, sizes_out, self.group)

        weighted = back * weights.flatten()[order, None]
        return torch.zeros_like(x).index_add_(0, rows, weighted)

    def _own(self, guests: Tensor, experts: Tensor, counts: Tensor) -> Tensor:
        """Rows [n, width] that came in runs of `counts`, each for one of `experts` -> outputs in their order."""
        expert = experts.repeat_interleave(counts)
        order = expert.argsort(stable=True)
        parts = guests[order].split(torch.bincount(expert, minlength=int(experts.max()) + 1).tolist())
        gate_up, down = (
            ScaledGradient.apply(weight.to_local(), 1 / self.processes)
            for weight in (self.gate_up_proj, self.down_proj)
        )
        # An expert without guests runs too: all processes meet in the backward pass.
        outputs = [feed_forward(part, *pair) for part, *pair in zip(parts, gate_up, down, strict=True)]
        return torch.cat(outputs)[order.argsort()]


class Exchange(Function):
    """Rows in runs, one for each process, to the processes -> the rows that came from each. Back: the other way."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, sizes_out: list[int], sizes_in: list[int], group: Any) -> Tensor:
        ctx.sizes_out, ctx.sizes_in, ctx.group = sizes_out, sizes_in, group
        return _exchange(x, sizes_out, sizes_in, group)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        return _exchange(gradients[0], ctx.sizes_in, ctx.sizes_out, ctx.group), None, None, None


def _exchange(x: Tensor, sizes_out: list[int], sizes_in: list[int], group: Any) -> Tensor:
    arrived = x.new_empty(sum(sizes_in), *x.shape[1:])
    dist.all_to_all_single(arrived, x.contiguous(), sizes_in, sizes_out, group=group)
    return arrived


class ScaledGradient(Function):
    """The tensor itself, with its gradient scaled."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.scale, None
