"""The loop that runs any stage: draw, step, log, save; killed at any moment it continues at the very batch.

Started by torchrun it is the same loop in every process: each draws its part of a step's global batch, weights
are spread over all (FSDP2), experts over `expert_parallel` of them. So one process that accumulates n batches,
and n processes with one each, take the same step.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from thinktalk.contracts import UserError
from thinktalk.parallel.world import World, gathered, join, summed
from thinktalk.train import record, saving
from thinktalk.train.display import Display
from thinktalk.train.optim import clip, optimisers_for
from thinktalk.train.plan import Plan
from thinktalk.train.recompute import recomputed
from thinktalk.train.saving import Standing
from thinktalk.train.stage import Stage

__all__ = ["Plan", "run"]


def run(stage: Stage[Any], plan: Plan, folder: Path) -> None:
    """Train `stage` to the end of `plan`, or on from the checkpoint in `folder`.

    Writes there: checkpoint.pt (of several processes checkpoint.dcp) and the one before it, log.jsonl, run.json,
    tensorboard/ and, if the plan has samples, samples/. Raises UserError where a loss or a gradient is not
    finite, the disk is full, or no checkpoint can be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    world = join(stage.device)
    scope = Scope(stage.module)
    if world.size > 1:
        from thinktalk.parallel.shard import mesh_of, parallelise

        parallelise(scope, mesh_of(world, plan.expert_parallel))
        stage.split(world.rank, world.size)
    optimisers = optimisers_for(stage.module, plan)
    standing = saving.resume(stage, optimisers, world, folder)
    if standing.step >= plan.steps:
        return
    if world.is_first:
        record.cut(folder, standing.step)
        record.write_run(stage, plan, world, standing.step, folder)
    with (
        saving.full_disk_is_told(folder),
        recomputed(stage.module) if plan.recompute else nullcontext(),
        Display(stage.name, plan, standing.step, folder, shown=world.is_first) as display,
    ):
        began = time.monotonic() - standing.seconds
        while standing.step < plan.steps:
            _step(stage, scope, optimisers, plan, world, standing)
            if _due(standing.step, plan.log_every, plan):
                _log(standing, time.monotonic() - began, world, folder, display)
            standing.seconds = time.monotonic() - began
            if _due(standing.step, plan.save_every, plan):
                saving.save(stage, optimisers, standing, world, folder)
            if plan.sample_every and _due(standing.step, plan.sample_every, plan):
                _sample(stage, scope, standing.step, world, folder)
            display.step(standing.step)


class Scope(nn.Module):
    """Calls a function of a module inside a forward of the module.

    A stage uses its module's parts as it likes; FSDP gathers weights when a forward begins. Here the forward is
    all that the stage does.
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)


def _step(
    stage: Stage[Any],
    scope: Scope,
    optimisers: Sequence[torch.optim.Optimizer],
    plan: Plan,
    world: World,
    standing: Standing,
) -> None:
    """Move the weights once."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group["share"] * plan.rate(standing.step)
        optimiser.zero_grad(set_to_none=True)
    _gradients(stage, scope, plan, world, standing)
    norm = clip(stage.module.parameters(), plan.clip)
    _check(norm, "gradient", stage, standing.step)
    for optimiser in optimisers:
        optimiser.step()
    standing.step += 1


def _gradients(stage: Stage[Any], scope: Scope, plan: Plan, world: World, standing: Standing) -> None:
    """Add up the gradients of this process's part of the step's global batch; keep the figures."""
    stage.module.train()
    for part in range(plan.accumulate):
        draw = (standing.step * plan.accumulate + part) * world.size + world.rank
        torch.manual_seed(plan.seed * 1_000_003 + draw)
        rng = np.random.default_rng((plan.seed, draw))
        with torch.autocast(world.device.type, torch.bfloat16, enabled=plan.precision == "bf16"):
            loss, figures = scope(stage.loss, standing.step, rng)
        _check(loss, "loss", stage, standing.step)
        (loss / plan.accumulate).backward()
        for name, value in {"loss": loss.item(), **figures}.items():
            standing.figures.setdefault(name, []).append(value)


def _check(value: Tensor, what: str, stage: Stage[Any], step: int) -> None:
    """Stop all processes where the value of one is not finite, with the examples of that one."""
    bad = (~torch.isfinite(value.detach())).float()
    if not summed(bad).item():
        return
    ids = [one for some in gathered(stage.batch_ids() if bad else []) for one in some]
    batch = f" (batch: {', '.join(ids)})" if ids else ""
    found = value.item() if bad else "not finite"
    raise UserError(f"{stage.name}: the {what} is {found} at step {step}{batch}; the last checkpoint is kept")


def _log(standing: Standing, seconds: float, world: World, folder: Path, display: Display) -> None:
    """Log the means, over all processes, of the figures since the last time, and begin them anew."""
    figures: dict[str, list[float]] = {}
    for mine in gathered(standing.figures):
        for name, values in mine.items():
            figures.setdefault(name, []).extend(values)
    means = {name: round(float(np.mean(values)), 4) for name, values in figures.items()}
    if world.is_first:
        record.append({"step": standing.step, "seconds": round(seconds, 1), **means}, folder)
    display.figures(standing.step, means, seconds - standing.logged, len(figures["loss"]))
    standing.figures, standing.logged = {}, seconds


def _sample(stage: Stage[Any], scope: Scope, step: int, world: World, folder: Path) -> None:
    """Let the stage show what it can. All processes compute it, the first one's files are kept."""
    stage.module.eval()
    with tempfile.TemporaryDirectory() as nowhere, torch.no_grad():
        samples = folder / "samples" if world.is_first else Path(nowhere)
        samples.mkdir(exist_ok=True)
        scope(stage.sample, samples, step)


def _due(step: int, every: int, plan: Plan) -> bool:
    return step % every == 0 or step == plan.steps
