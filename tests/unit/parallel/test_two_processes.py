"""Two processes take the same steps as one with the same global batch. Run as a script, this is one of the two."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from thinktalk.contracts import UserError
from thinktalk.models.qwen3_omni.config import DecoderConfig
from thinktalk.models.qwen3_omni.decoder import Decoder
from thinktalk.train.loop import Plan, run
from thinktalk.train.losses.tokens import next_token
from thinktalk.train.routing import watched
from thinktalk.train.saving import weights
from thinktalk.train.stage import Stage

PLAN = Plan(steps=5, learning_rate=1e-2, warmup=2, clip=0.3, save_every=2, log_every=1)
PLANS = {
    "fsdp": PLAN,
    "experts": replace(PLAN, expert_parallel=2),
    "experts recomputed": replace(PLAN, expert_parallel=2, recompute=True),
    "muon": replace(PLAN, optimiser="muon"),
    "muon experts": replace(PLAN, optimiser="muon", expert_parallel=2),
}
CONFIG = DecoderConfig(
    vocab_size=13,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=1,
    head_dim=8,
    num_experts=4,
    num_experts_per_tok=2,
    moe_intermediate_size=6,
    shared_expert_intermediate_size=6,
    mrope_section=[2, 1, 1],
)
# Sums over rows are added up in another order. Losses are logged with four digits behind the point.
# Muon makes small directions large.
LOSS, WEIGHT, MUON_WEIGHT = 1.01e-4, 2e-6, 5e-5


class Words(nn.Module):
    """A small decoder of words."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(CONFIG.vocab_size, CONFIG.hidden_size)
        self.decoder = Decoder(CONFIG)
        self.head = nn.Linear(CONFIG.hidden_size, CONFIG.vocab_size, bias=False)


class Reading(Stage[Words]):
    """What word comes next, in a global batch of four rows that are walked through."""

    name = "reading"

    def __init__(self, die_at: int | None = None, nan_for: int | None = None):
        torch.manual_seed(int(os.environ.get("RANK", 0)))  # the first process's weights are what counts
        self.module = Words()
        self.die_at, self.nan_for = die_at, nan_for
        self.rank, self.world, self.batch = 0, 1, 0

    def split(self, rank: int, world: int) -> None:
        self.rank, self.world = rank, world

    def position(self) -> dict[str, Any]:
        return {"batch": self.batch}

    def seek(self, position: dict[str, Any]) -> None:
        self.batch = position["batch"]

    def batch_ids(self) -> list[str]:
        return [f"part {self.rank} of batch {self.batch - 1}"]

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        if step == self.die_at:
            raise KeyboardInterrupt
        whole = np.random.default_rng(self.batch % 2).integers(CONFIG.vocab_size, size=(4, 7))
        ids = torch.from_numpy(np.sort(whole, axis=1)[self.rank :: self.world])
        self.batch += 1
        positions = torch.arange(6).expand(3, len(ids), -1)
        with watched(self.module.decoder) as routing:
            hidden, _ = self.module.decoder(self.module.embed(ids[:, :-1]), positions)
        loss = next_token(self.module.head(hidden), ids[:, 1:]) + 0.1 * routing.balance()
        if step == 1 and self.nan_for == self.rank:
            loss = loss * float("nan")
        return loss, {"balance": routing.balance().item(), "first": float(ids[0, 0])}

    def sample(self, folder: Path, step: int) -> None:
        told = self.module.head(self.module.embed(torch.arange(3)))
        (folder / f"{step}.txt").write_text(str(told.argmax(-1).tolist()))


def process(folder: Path) -> None:
    """What each of the two does."""
    torch.set_num_threads(1)
    for name, plan in PLANS.items():
        run(Reading(), plan, folder / name)
    for name in ("killed", "begun by one"):
        if name == "killed":
            with pytest.raises(KeyboardInterrupt):
                run(Reading(die_at=3), PLANS["experts"], folder / name)
        run(Reading(), PLANS["experts"], folder / name)
    with pytest.raises(KeyboardInterrupt):
        run(Reading(die_at=4), PLANS["experts"], folder / "ended by one")
    run(Reading(), replace(PLAN, steps=2, sample_every=1), folder / "sampled")
    with pytest.raises(UserError) as stopped:
        run(Reading(nan_for=1), PLAN, folder / "nan")
    (folder / f"nan {os.environ['RANK']}.txt").write_text(str(stopped.value))
    with pytest.raises(UserError, match="expert_parallel 3 does not divide the number of processes, 2"):
        run(Reading(), replace(PLAN, expert_parallel=3), folder / "odd")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds what one process did, and then what two did."""
    folder = tmp_path_factory.mktemp("runs")
    run(Reading(), PLAN, folder / "one")
    run(Reading(), replace(PLAN, optimiser="muon"), folder / "one muon")
    with pytest.raises(KeyboardInterrupt):
        run(Reading(die_at=3), PLAN, folder / "begun by one")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    meeting = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    both = [
        subprocess.Popen(
            [sys.executable, __file__, str(folder)],
            env={**os.environ, **meeting, "RANK": str(rank), "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    told = [one.communicate(timeout=300)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], "\n".join(told)
    return folder


def log(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in line.items() if name not in ("seconds", "first")} for line in lines
    ]


def assert_same_run(one: Path, two: Path, weight_tolerance: float = WEIGHT) -> None:
    assert [line["step"] for line in log(two)] == [1, 2, 3, 4, 5]
    for a, b in zip(log(one), log(two), strict=True):
        assert b == pytest.approx(a, abs=LOSS)
    theirs = weights(two)
    for name, weight in weights(one).items():
        torch.testing.assert_close(theirs[name], weight, atol=weight_tolerance, rtol=0)


@pytest.mark.parametrize("name", PLANS)
def test_two_processes_are_one(folder: Path, name: str):
    if PLANS[name].optimiser == "muon":
        assert_same_run(folder / "one muon", folder / name, MUON_WEIGHT)
    else:
        assert_same_run(folder / "one", folder / name)
    assert log(folder / name)[-1]["loss"] < log(folder / name)[0]["loss"] - 0.05


@pytest.mark.parametrize("name", ["killed", "begun by one"])
def test_two_processes_go_on_from_a_checkpoint(folder: Path, name: str):
    assert_same_run(folder / "one", folder / name)
    if name == "killed":
        assert log(folder / name) == log(folder / "experts")


def test_one_process_goes_on_from_a_checkpoint_of_two(folder: Path, capsys: pytest.CaptureFixture[str]):
    run(Reading(), PLAN, folder / "ended by one")
    assert_same_run(folder / "one", folder / "ended by one")
    assert "is of 2 processes, not 1" in capsys.readouterr().out
    kept = {path.name for path in (folder / "ended by one").glob("checkpoint*")}
    assert kept == {"checkpoint.pt"}  # what is older and of the other kind is gone


def test_the_checkpoint_before_is_kept(folder: Path):
    kept = {path.name for path in (folder / "fsdp").glob("checkpoint*")}
    assert kept == {"checkpoint.dcp", "checkpoint.previous.dcp"}


def test_the_process_with_the_bad_batch_is_named_by_both(folder: Path):
    first, second = ((folder / f"nan {rank}.txt").read_text() for rank in (0, 1))
    assert "loss is nan at step 1 (batch: part 1 of batch 1)" in second
    assert "loss is not finite at step 1 (batch: part 1 of batch 1)" in first


def test_all_compute_a_sample_and_one_writes_it(folder: Path):
    written = sorted(path.name for path in (folder / "sampled/samples").iterdir())
    assert written == ["1.txt", "2.txt"]


if __name__ == "__main__":
    process(Path(sys.argv[1]))
