"""A checkpoint is whole or it is the one before."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from thinktalk.contracts import UserError
from thinktalk.train.loop import Plan, run
from thinktalk.train.saving import weights
from thinktalk.train.stage import Stage

PLAN = Plan(steps=6, learning_rate=1e-2, warmup=1, save_every=2, log_every=1)


class Dots(Stage[nn.Linear]):
    """A small stage that can be stopped."""

    name = "dots"

    def __init__(self, die_at: int | None = None, width: int = 3):
        torch.manual_seed(1)
        self.module = nn.Linear(width, 1)
        self.die_at = die_at

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        if step == self.die_at:
            raise KeyboardInterrupt
        x = torch.from_numpy(rng.standard_normal((4, self.module.in_features)).astype(np.float32))
        return (self.module(x)[:, 0] - x.sum(1)).square().mean(), {}


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, Tensor]:
    run(Dots(), PLAN, tmp_path / "whole")
    return weights(tmp_path / "whole")


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A run with checkpoints at steps 4 and 2."""
    with pytest.raises(KeyboardInterrupt):
        run(Dots(die_at=5), PLAN, tmp_path / "stopped")
    return tmp_path / "stopped"


def assert_ends_as(whole: dict[str, Tensor], folder: Path) -> None:
    run(Dots(), PLAN, folder)
    assert all(torch.equal(weight, whole[name]) for name, weight in weights(folder).items())


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("checkpoint*")}


def test_the_one_before_is_kept(stopped: Path):
    assert files(stopped) == {"checkpoint.pt", "checkpoint.previous.pt"}
    steps = [torch.load(stopped / name)["step"] for name in ("checkpoint.pt", "checkpoint.previous.pt")]
    assert steps == [4, 2]


@pytest.mark.parametrize("call", range(8))
def test_killed_between_any_two_moves(
    whole: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
):
    calls, move = iter(range(100)), os.replace

    def replace_or_die(*paths: Path) -> None:
        if next(calls) == call:
            raise KeyboardInterrupt
        move(*paths)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace_or_die)
        try:
            run(Dots(), PLAN, tmp_path / "killed")
        except KeyboardInterrupt:
            assert call < 6  # one move for run.json, one for the first checkpoint, two for each of the others
        else:
            assert call >= 6
    assert_ends_as(whole, tmp_path / "killed")


def flip(path: Path) -> None:
    """Change one bit of one weight."""
    content, weight = bytearray(path.read_bytes()), torch.load(path)["module"]["weight"].numpy().tobytes()
    content[content.index(weight)] ^= 1
    path.write_bytes(content)


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize("damage", [flip, shorten, lambda path: path.write_bytes(b"")])
def test_a_damaged_one_is_told_and_the_one_before_used(
    whole: dict[str, Tensor], stopped: Path, damage, capsys: pytest.CaptureFixture[str]
):
    damage(stopped / "checkpoint.pt")
    assert_ends_as(whole, stopped)
    told = capsys.readouterr().out
    assert "checkpoint.pt is damaged" in told
    assert "going on from checkpoint.previous.pt, step 2" in told


def test_where_all_are_damaged_they_are_named(stopped: Path):
    for name in files(stopped):
        (stopped / name).write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match=r"checkpoint\.pt is damaged.*checkpoint\.previous\.pt is damaged"):
        run(Dots(), PLAN, stopped)


def test_a_checkpoint_of_another_model_is_told(stopped: Path):
    with pytest.raises(UserError, match=r"checkpoint\.pt is of another model"):
        run(Dots(width=4), PLAN, stopped)


def test_a_full_disk_leaves_the_last_checkpoint(whole: dict[str, Tensor], stopped: Path):
    (stopped / "checkpoint.partial.pt").symlink_to("/dev/full")  # every write fails as on a full disk
    with pytest.raises(
        UserError, match=r"the disk is full \(a checkpoint needs 0\.0 MB, [\d,.]+ MB are free\)"
    ):
        run(Dots(), PLAN, stopped)
    assert files(stopped) == {"checkpoint.pt", "checkpoint.previous.pt"}
    assert_ends_as(whole, stopped)


def test_a_full_disk_is_told_by_the_log_too(tmp_path: Path):
    class Filling(Dots):
        def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
            if step == 3:
                (tmp_path / "log.jsonl").unlink()
                (tmp_path / "log.jsonl").symlink_to("/dev/full")
            return super().loss(step, rng)

    with pytest.raises(UserError, match=r"the disk is full \([\d,.]+ MB are free\)"):
        run(Filling(), PLAN, tmp_path)


def test_a_position_that_could_not_be_read_again_is_not_written(tmp_path: Path):
    class Lost(Dots):
        def position(self) -> dict[str, Path]:
            return {"file": Path("here")}

    with pytest.raises(Exception, match="weights_only"):
        run(Lost(), PLAN, tmp_path)
    assert files(tmp_path) == set()


def test_weights_of_nothing(tmp_path: Path):
    with pytest.raises(UserError, match="has no checkpoint"):
        weights(tmp_path)


def test_a_part_that_is_frozen_later_keeps_its_weights(stopped: Path):
    stage = Dots()
    stage.module.bias.requires_grad_(False)
    before = weights(stopped)["bias"]
    run(stage, replace(PLAN, steps=5), stopped)
    assert torch.equal(weights(stopped)["bias"], before)
