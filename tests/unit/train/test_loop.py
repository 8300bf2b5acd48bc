"""A run that is killed and begun again is the run that was not."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from thinktalk.contracts import UserError
from thinktalk.train.loop import Plan, run
from thinktalk.train.stage import Stage

PLAN = Plan(steps=12, learning_rate=1e-2, warmup=3, save_every=5, log_every=1)


class Line(Stage[nn.Module]):
    """Fits a line, with dropout so that the random state matters."""

    name = "line"

    def __init__(self, die_at: int | None = None, nan_at: int | None = None):
        torch.manual_seed(1)
        self.module = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.die_at, self.nan_at = die_at, nan_at

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        if step == self.die_at:
            raise KeyboardInterrupt
        x = torch.from_numpy(rng.standard_normal((16, 4)).astype(np.float32))
        loss = (self.module(x)[:, 0] - x.sum(1)).square().mean()
        return (loss * float("nan") if step == self.nan_at else loss), {"seen": x.mean().item()}


def losses(folder: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines}


def test_killed_and_resumed_equals_uninterrupted(tmp_path: Path):
    run(Line(), PLAN, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(Line(die_at=8), PLAN, tmp_path / "killed")
    second = Line()
    run(second, PLAN, tmp_path / "killed")
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    whole, killed = (torch.load(tmp_path / name / "checkpoint.pt") for name in ("whole", "killed"))
    for name, weight in whole["module"].items():
        assert torch.equal(weight, killed["module"][name])


def test_another_seed_is_another_run(tmp_path: Path):
    run(Line(), PLAN, tmp_path / "a")
    run(Line(), replace(PLAN, seed=1), tmp_path / "b")
    assert losses(tmp_path / "a") != losses(tmp_path / "b")


def test_a_finished_run_does_nothing_more(tmp_path: Path):
    run(Line(), PLAN, tmp_path)
    run(Line(die_at=0), PLAN, tmp_path)


def test_nan_stops_and_keeps_the_last_checkpoint(tmp_path: Path):
    with pytest.raises(UserError, match="step 7"):
        run(Line(nan_at=7), PLAN, tmp_path)
    assert torch.load(tmp_path / "checkpoint.pt")["step"] == 5


def test_a_damaged_checkpoint_is_named(tmp_path: Path):
    (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match=r"checkpoint\.pt is damaged"):
        run(Line(), PLAN, tmp_path)


def test_the_rate_warms_up_stays_and_falls_to_zero():
    plan = Plan(steps=100, learning_rate=1.0, warmup=10, cooldown=0.4)
    assert plan.rate(0) == pytest.approx(0.1)
    assert plan.rate(30) == 1.0
    assert plan.rate(80) == pytest.approx(0.5)
    assert plan.rate(99) == pytest.approx(1 / 40)
