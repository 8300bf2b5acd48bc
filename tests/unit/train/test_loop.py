"""A run that is killed and begun again is the run that was not."""

import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from thinktalk.contracts import UserError
from thinktalk.train.loop import Plan, run
from thinktalk.train.stage import Stage

PLAN = Plan(steps=12, learning_rate=1e-2, warmup=3, save_every=5, log_every=1)
LONG = replace(PLAN, steps=80, save_every=1)


class Line(Stage[nn.Sequential]):
    """Fits a line, with dropout so that the random state matters, on data that it walks through."""

    name = "line"

    def __init__(self, die_at: int | None = None, nan_at: int | None = None, walks: bool = False):
        torch.manual_seed(1)
        self.module = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.die_at, self.nan_at = die_at, nan_at
        self.walks, self.place = walks, 0

    def position(self) -> dict[str, Any]:
        return {"place": self.place}

    def seek(self, position: dict[str, Any]) -> None:
        self.place = position["place"]

    def batch_ids(self) -> list[str]:
        return [f"clip {self.place - 1}", "clip x"] if self.walks else []

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        if step == self.die_at:
            raise KeyboardInterrupt
        if self.walks:
            rng = np.random.default_rng(self.place)
            self.place += 1
        x = torch.from_numpy(rng.standard_normal((16, 4)).astype(np.float32))
        loss = (self.module(x)[:, 0] - x.sum(1)).square().mean()
        return (loss * float("nan") if step == self.nan_at else loss), {"seen": x.mean().item()}


class Plain(Stage[nn.Linear]):
    """Fits a line without chance: each batch is `parts` of what the loop draws."""

    name = "plain"

    def __init__(self, parts: int = 1):
        torch.manual_seed(1)
        self.module = nn.Linear(4, 1)
        self.parts = parts
        self.dtypes: set[torch.dtype] = set()

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        rngs = [rng] if self.parts == 1 else [np.random.default_rng((0, 2 * step + i)) for i in range(2)]
        x = torch.from_numpy(np.concatenate([r.standard_normal((8, 4)) for r in rngs]).astype(np.float32))
        y = self.module(x)[:, 0]
        self.dtypes.add(y.dtype)
        return (y.float() - x.sum(1)).square().mean(), {}

    def sample(self, folder: Path, step: int) -> None:
        assert not self.module.training and not torch.is_grad_enabled()
        (folder / f"{step}.txt").write_text("a picture")


def log(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def saved(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "checkpoint.pt", weights_only=True)


def assert_same_run(one: Path, two: Path) -> None:
    assert log(one) == log(two)
    for name, weight in saved(one)["module"].items():
        assert torch.equal(weight, saved(two)["module"][name])


def test_by_default_it_is_the_loop_that_anybody_would_write(tmp_path: Path):
    run(Line(), PLAN, tmp_path)
    stage = Line()
    optimiser = torch.optim.AdamW(
        [
            {"params": [p for p in stage.module.parameters() if p.ndim > 1], "weight_decay": 0.01},
            {"params": [p for p in stage.module.parameters() if p.ndim == 1], "weight_decay": 0.0},
        ],
        betas=(0.9, 0.95),
    )
    losses = []
    for step in range(12):
        for group in optimiser.param_groups:
            group["lr"] = 1e-2 * min(1, (step + 1) / 3, (12 - step) / 4.8)
        torch.manual_seed(step)
        loss, _ = stage.loss(step, np.random.default_rng((0, step)))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(stage.module.parameters(), 1.0)
        optimiser.step()
        losses.append(round(loss.item(), 4))
    assert [line["loss"] for line in log(tmp_path)] == losses
    for name, weight in stage.module.state_dict().items():
        assert torch.equal(weight, saved(tmp_path)["module"][name])


@pytest.mark.parametrize(
    "plan", [PLAN, replace(PLAN, save_every=2, log_every=3, optimiser="muon", muon_precision="bf16")]
)
@pytest.mark.parametrize("walks", [False, True])
def test_killed_and_resumed_equals_uninterrupted(tmp_path: Path, plan: Plan, walks: bool):
    run(Line(walks=walks), plan, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(Line(walks=walks, die_at=9), plan, tmp_path / "killed")
    run(Line(walks=walks), plan, tmp_path / "killed")
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def test_kill_9_at_any_moment(tmp_path: Path):
    """It saves after every step: most of its time is spent on that."""
    run(Line(), LONG, tmp_path / "whole")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, __file__, tmp_path / "killed"], env=environment)
    written = tmp_path / "killed/log.jsonl"
    enough = random.randint(2, 50)
    while not written.exists() or written.read_bytes().count(b"\n") < enough:
        assert process.poll() is None, "it ended before it was killed"
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.02))
    process.kill()
    assert process.wait() == -9
    run(Line(), LONG, tmp_path / "killed")
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def test_what_was_logged_after_the_checkpoint_is_logged_once(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        run(Line(die_at=8), PLAN, tmp_path)
    assert [line["step"] for line in log(tmp_path)] == [1, 2, 3, 4, 5, 6, 7, 8]
    with (tmp_path / "log.jsonl").open("a") as cut_off:
        cut_off.write('{"step": 9, "lo')
    run(Line(), PLAN, tmp_path)
    assert [line["step"] for line in log(tmp_path)] == list(range(1, 13))


def test_another_seed_is_another_run(tmp_path: Path):
    run(Line(), PLAN, tmp_path / "a")
    run(Line(), replace(PLAN, seed=1), tmp_path / "b")
    assert log(tmp_path / "a") != log(tmp_path / "b")


def test_a_finished_run_does_nothing_more(tmp_path: Path):
    run(Line(), PLAN, tmp_path)
    run(Line(die_at=0), PLAN, tmp_path)


def test_two_batches_accumulated_are_one_of_both(tmp_path: Path):
    plan = replace(PLAN, clip=1e9)  # nothing hides the size of a gradient from the optimiser's state
    run(Plain(), replace(plan, accumulate=2), tmp_path / "accumulated")
    run(Plain(parts=2), plan, tmp_path / "whole")
    for a, b in zip(log(tmp_path / "accumulated"), log(tmp_path / "whole"), strict=True):
        assert a["loss"] == pytest.approx(b["loss"], abs=1.01e-4)
    for part in ("module", "optimiser"):
        torch.testing.assert_close(saved(tmp_path / "accumulated")[part], saved(tmp_path / "whole")[part])


def test_bf16_is_for_arithmetic_alone(tmp_path: Path):
    full, half = Plain(), Plain()
    run(full, PLAN, tmp_path / "fp32")
    run(half, replace(PLAN, precision="bf16"), tmp_path / "bf16")
    assert full.dtypes == {torch.float32}
    assert half.dtypes == {torch.bfloat16}
    assert saved(tmp_path / "bf16")["module"]["weight"].dtype == torch.float32
    assert log(tmp_path / "bf16")[-1]["loss"] == pytest.approx(log(tmp_path / "fp32")[-1]["loss"], rel=0.05)


def test_nan_names_its_batch_and_keeps_the_last_checkpoint(tmp_path: Path):
    with pytest.raises(UserError, match=r"line: the loss is nan at step 7 \(batch: clip 7, clip x\)"):
        run(Line(nan_at=7, walks=True), PLAN, tmp_path)
    assert saved(tmp_path)["step"] == 5


def test_a_gradient_that_is_not_finite_reaches_no_weight(tmp_path: Path):
    class Root(Plain):
        def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
            loss, figures = super().loss(step, rng)
            return loss * 0 + (self.module.bias * (step != 3)).abs().sqrt().sum(), figures

    stage = Root()
    with pytest.raises(UserError, match="plain: the gradient is nan at step 3"):
        run(stage, PLAN, tmp_path)
    assert all(torch.isfinite(p).all() for p in stage.module.parameters())


def test_samples_are_written_at_intervals(tmp_path: Path):
    run(Plain(), replace(PLAN, sample_every=5), tmp_path)
    assert sorted(p.name for p in (tmp_path / "samples").iterdir()) == ["10.txt", "12.txt", "5.txt"]


if __name__ == "__main__":
    torch.set_num_threads(1)
    run(Line(), LONG, Path(sys.argv[1]))
