"""Weights, gradients and optimiser states spread over processes (FSDP2, arXiv 2304.11277). Heavy to import."""

import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Shard

from thinktalk.contracts import UserError
from thinktalk.parallel.experts import share_experts
from thinktalk.parallel.layers import layers_of
from thinktalk.parallel.world import World


def mesh_of(world: World, experts: int = 1) -> DeviceMesh:
    """All processes as ("data", "expert"): those in a row, `experts` of them, share one set of experts."""
    if world.size % experts:
        raise UserError(f"expert_parallel {experts} does not divide the number of processes, {world.size}")
    shape = (world.size // experts, experts)
    return init_device_mesh(world.device.type, shape, mesh_dim_names=("data", "expert"))


def parallelise(model: nn.Module, mesh: DeviceMesh) -> nn.Module:
    """Spread `model` in place. Every process has all of it until then; the first one's weights count.

    Each layer is gathered when it runs, all else when a forward of `model` begins. Gradients are means over
    processes. Experts are spread over "expert", and what each process has of them over "data".
    """
    for tensor in (*model.parameters(), *model.buffers()):
        dist.broadcast(tensor.data, src=0)
    if mesh["expert"].size() > 1:
        for experts in share_experts(model, mesh["expert"]):
            # Along the second axis, for "expert" has the first.
            fully_shard(experts, mesh=mesh["data"], shard_placement_fn=lambda _: Shard(1))
    everyone = init_device_mesh(mesh.device_type, (mesh.size(),), mesh_dim_names=("all",))
    for layer in layers_of(model):
        fully_shard(layer, mesh=everyone)
    fully_shard(model, mesh=everyone)
    return model
