"""What a run leaves for people to see."""

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from thinktalk.train import display, record
from thinktalk.train.display import Display
from thinktalk.train.loop import Plan, run
from thinktalk.train.stage import Stage

PLAN = Plan(steps=4, learning_rate=1e-2, save_every=2, log_every=2)


@dataclass
class Config:
    width: int = 3


class Counting(Stage[nn.Linear]):
    """A stage with a config, and data that have a hash."""

    name = "counting"

    def __init__(self) -> None:
        self.config = Config()
        self.batch = 5
        self.module = nn.Linear(3, 1)

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        return self.module(torch.ones(5, 3)).square().mean(), {"tokens": 50.0, "right": 0.25}

    def data_hash(self) -> str:
        return "c0ffee"


def test_a_run_says_what_it_was(tmp_path: Path):
    run(Counting(), PLAN, tmp_path)
    said = json.loads((tmp_path / "run.json").read_text())
    assert said["config"] == {"config": {"width": 3}, "batch": 5}
    assert said["plan"]["learning_rate"] == 1e-2 and said["seed"] == 0
    assert (said["data"], said["device"], said["torch"]) == ("c0ffee", "cpu", torch.__version__)
    run(Counting(), replace(PLAN, steps=6), tmp_path)
    again = json.loads((tmp_path / "run.json").read_text())
    assert again["from_step"] == 4 and again["plan"]["steps"] == 6
    assert again["before"] == [said]


def test_the_commit_is_that_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def git(*words: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(
            ["git", *identity, *words], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    package = tmp_path / "thinktalk"
    package.mkdir()
    monkeypatch.setattr(record, "PACKAGE", package)
    assert record.commit() is None
    (package / "__init__.py").write_text("")
    git("init", "-q")
    assert record.commit() is None  # inside a repository, but not of it
    git("add", ".")
    git("commit", "-qm", "all")
    assert record.commit() == git("rev-parse", "HEAD")
    (package / "__init__.py").write_text("changed")
    assert record.commit() == git("rev-parse", "HEAD") + "+"


def test_where_nobody_watches_there_is_a_line_for_each_in_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run(Counting(), PLAN, tmp_path)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("counting ")]
    assert len(lines) == 2
    assert lines[0].startswith("counting 2/4 loss ") and lines[1].startswith("counting 4/4 loss ")
    assert "right 0.25 tokens/s" in lines[0]
    assert lines[1].endswith("left 0:00:00")


def test_rates_and_the_time_left_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with Display("counting", replace(PLAN, accumulate=2), 0, tmp_path) as shown:
        shown.figures(2, {"loss": 1.0, "tokens": 50.0}, seconds=100.0, batches=4)
    assert "counting 2/4 loss 1 tokens/s 2 left 0:01:40" in capsys.readouterr().out


def test_a_terminal_shows_a_live_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    console = Console(force_terminal=True, width=160, record=True, file=sys.stderr)
    monkeypatch.setattr(display, "Console", lambda **_: console)
    with Display("counting", PLAN, 0, tmp_path) as shown:
        shown.figures(2, {"loss": 1.5}, seconds=1.0, batches=2)
        shown.step(2)
    text = console.export_text()
    assert "counting" in text and "2/4" in text and "loss 1.5" in text


def test_tensorboard_has_the_figures(tmp_path: Path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run(Counting(), PLAN, tmp_path)
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {"counting/loss", "counting/rate", "counting/tokens/s"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("counting/loss")] == [2, 4]


def test_without_tensorboard_it_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    display._writer.cache_clear()
    run(Counting(), PLAN, tmp_path / "a")
    run(Counting(), PLAN, tmp_path / "b")
    display._writer.cache_clear()
    assert capsys.readouterr().out.count("pip install 'thinktalk[train]'") == 1
    assert not (tmp_path / "a/tensorboard").exists()
