from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.unit.bench.conftest import SHORT
from thinktalk.bench.measures import MEASURES
from thinktalk.bench.measures.long_reply import tireless
from thinktalk.bench.measures.peers import peers, side_by_side
from thinktalk.bench.measures.reach import Bar
from thinktalk.bench.plots import draw
from thinktalk.bench.subject import Bench
from thinktalk.bench.systems import OURS, THEIRS, Replied
from thinktalk.contracts import UserError

IN_ONE_PROCESS = ["first_packet", "throughput", "realtime_factor", "roofline", "long_audio", "long_reply"]


@pytest.fixture(scope="module")
def measured(bench):
    return {name: {table.key: table for table in MEASURES[name](bench)} for name in IN_ONE_PROCESS}


@pytest.mark.parametrize("name", IN_ONE_PROCESS)
def test_every_row_has_its_figures(measured, name):
    for table in measured[name].values():
        assert table.rows and table.note
        for row in table.rows:
            assert len(row) == len(table.columns)
            assert all(cell is not None and not np.isnan(cell) for cell in row[1:]), row


def test_stages_add_up_to_a_first_packet(measured):
    for kind in ("audio", "video"):
        *stages, overall = measured["first_packet"][f"first_packet_{kind}"].rows
        for column in range(1, len(SHORT.levels) + 1):
            total = sum(row[column] for row in stages)
            assert 0.2 < total / overall[column] < 5  # measured in other rounds, on a machine that others use


def test_rates_are_those_of_the_levels(measured):
    table = measured["throughput"]["throughput"]
    assert [row[0] for row in table.rows] == list(SHORT.levels)
    for level, words, each, frames, frames_each in table.rows:
        assert words == pytest.approx(level * each) and frames == pytest.approx(level * frames_each)


def test_a_long_reply_is_held_against_fresh_ones(measured):
    (table,) = measured["long_reply"].values()
    cells = dict(table.rows)
    late = table.rows[2][1]
    assert cells["last / fresh"] == pytest.approx(late / cells["fresh replies"])


def test_the_model_speaks_on_only_while_it_is_measured(bench):
    row = bench.omni.model.talker.codec_head.weight
    eos = bench.omni.model.config.talker_config.codec_eos_token_id
    with torch.no_grad():
        row[eos] = 1.0
    with tireless(bench):
        assert not row[eos].any()
    assert (row[eos] == 1.0).all()
    with torch.no_grad():
        row[eos] = 0.0


def test_pictures_are_drawn_of_what_was_measured(measured, tmp_path):
    tables = [table for name in ("first_packet", "roofline") for table in measured[name].values()]
    pictures = draw(tables, tmp_path / "plots")
    assert [picture.name for picture in pictures] == ["bench_latency.png", "bench_roofline.png"]
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)
    assert draw([], tmp_path) == []


class FakeSystem:
    """In place of a process: ours takes 1 s and 10 MB and speaks after 0.1 s, theirs takes five times as much."""

    speech = np.ones(100, np.float32)
    absent: tuple[str, ...] = ()

    def __init__(self, system, subject, plan):
        if system in self.absent:
            raise UserError(f"{system} is not installed")
        self.ready = 2.0
        self.peak = 10_000_000 if system == OURS else 40_000_000
        self._replied = Replied(0.1, 1.0, "yes", np.ones(100, np.float32))
        if system == THEIRS:
            self._replied = Replied(5.0, 5.0, "yes", self.speech)

    def reply(self):
        return self._replied

    def __enter__(self):
        return self

    def __exit__(self, *_): ...


@pytest.fixture
def fake(monkeypatch):
    for user in (side_by_side, MEASURES["cold_start"]):
        monkeypatch.setitem(user.__globals__, "System", FakeSystem)
    return FakeSystem


def test_systems_are_held_against_ours(bench, fake):
    compared, missing = side_by_side(bench, (OURS, THEIRS))
    theirs = compared[1]
    assert (theirs.first_audio, theirs.total, theirs.memory) == (50, 5, 0.25)
    assert theirs.same and not missing


def test_another_reply_is_not_the_same(bench, fake, monkeypatch):
    monkeypatch.setattr(fake, "speech", np.full(100, 0.9, np.float32))
    compared, _ = side_by_side(bench, (OURS, THEIRS))
    assert not compared[1].same


def test_who_is_not_there_is_left_out_and_named(bench, fake, monkeypatch):
    monkeypatch.setattr(fake, "absent", (THEIRS,))
    (table,) = peers(bench)
    assert THEIRS not in [row[0] for row in table.rows]
    assert "transformers is left out: transformers is not installed." in table.note
    (cold,) = MEASURES["cold_start"](bench)
    assert [row[0] for row in cold.rows] == [OURS]


def test_reach_has_a_bar_for_every_ratio(bench, fake, monkeypatch):
    (table,) = MEASURES["reach"](Bench(bench.subject, SHORT))
    assert len(table.rows) == 7
    assert table.rows[0][1:] == (50, "≥ 10", True)
    assert table.rows[1][1:] == (5, "≥ 4", True)
    assert table.rows[2][1:] == (0.25, "≤ 0.5", True)
    assert all(row[1] is not None for row in table.rows[3:])


def test_the_released_shape_is_held_against_the_report(bench, fake):
    released = Bench(replace(bench.subject, shape="30b-a3b"), SHORT)
    released.omni = bench.omni  # of a size that can be had here
    (table,) = MEASURES["reach"](released)
    assert len(table.rows) == 11
    assert [row[2] for row in table.rows[7:]] == ["≤ 100", "≤ 250", "≤ 300", "≤ 0.15"]
    assert all(row[1] > 0 for row in table.rows[7:])


def test_what_could_not_be_measured_is_neither_reached_nor_missed():
    assert Bar("x", least=3).row(2.9) == ("x", 2.9, "≥ 3", False)
    assert Bar("x", most=1.2).row(1.2) == ("x", 1.2, "≤ 1.2", True)
    assert Bar("x", most=1.2).row(None) == ("x", None, "≤ 1.2", None)
