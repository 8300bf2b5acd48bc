"""The loop that runs any stage: draw, step, log, save; killed at any moment it continues at the very batch."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from thinktalk.contracts import UserError
from thinktalk.train.stage import Stage


@dataclass(frozen=True)
class Plan:
    """How long and how fast. The rate warms up, stays, and over the last `cooldown` part falls to zero."""

    steps: int
    learning_rate: float
    warmup: int = 100
    cooldown: float = 0.4
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0
    seed: int = 0
    save_every: int = 100
    log_every: int = 50

    def rate(self, step: int) -> float:
        left = (self.steps - step) / max(1, self.cooldown * self.steps)
        return self.learning_rate * min(1.0, (step + 1) / self.warmup, left)


def run(stage: Stage, plan: Plan, folder: Path) -> None:
    """Train `stage` to the end of `plan`, or on from the checkpoint in `folder`.

    Writes folder/checkpoint.pt (atomically) and appends to folder/log.jsonl.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parameters = [p for p in stage.module.parameters() if p.requires_grad]
    matrices = [p for p in parameters if p.ndim > 1]
    optimiser = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": plan.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=plan.learning_rate,
        betas=plan.betas,
    )
    step = _resume(stage, optimiser, folder)
    totals: dict[str, list[float]] = {}
    began = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[figures]}")) as progress:
        task = progress.add_task(stage.name, total=plan.steps, completed=step, figures="")
        while step < plan.steps:
            for group in optimiser.param_groups:
                group["lr"] = plan.rate(step)
            torch.manual_seed(plan.seed * 1_000_003 + step)
            stage.module.train()
            loss, figures = stage.loss(step, np.random.default_rng((plan.seed, step)))
            if not torch.isfinite(loss):
                raise UserError(
                    f"{stage.name}: the loss is {loss.item()} at step {step}; the last checkpoint is kept"
                )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, plan.clip)
            optimiser.step()
            step += 1
            for name, value in {"loss": loss.item(), **figures}.items():
                totals.setdefault(name, []).append(value)
            if step % plan.log_every == 0 or step == plan.steps:
                means = {name: round(float(np.mean(values)), 4) for name, values in totals.items()}
                totals = {}
                _log(folder, {"step": step, "seconds": round(time.monotonic() - began, 1), **means})
                progress.update(task, figures=" ".join(f"{k} {v:.3f}" for k, v in means.items()))
            if step % plan.save_every == 0 or step == plan.steps:
                _save(stage, optimiser, step, folder)
            progress.update(task, completed=step)


def _resume(stage: Stage, optimiser: torch.optim.Optimizer, folder: Path) -> int:
    path = folder / "checkpoint.pt"
    if not path.exists():
        return 0
    try:
        saved = torch.load(path, weights_only=True)
    except Exception as error:
        raise UserError(f"{path} is damaged ({error}); delete it to begin the stage again") from None
    stage.module.load_state_dict(saved["module"])
    optimiser.load_state_dict(saved["optimiser"])
    return saved["step"]


def _save(stage: Stage, optimiser: torch.optim.Optimizer, step: int, folder: Path) -> None:
    partial = folder / "checkpoint.partial"
    state = {"module": stage.module.state_dict(), "optimiser": optimiser.state_dict(), "step": step}
    torch.save(state, partial)
    os.replace(partial, folder / "checkpoint.pt")


def _log(folder: Path, line: dict[str, float]) -> None:
    with (folder / "log.jsonl").open("a") as log:
        log.write(json.dumps(line) + "\n")
