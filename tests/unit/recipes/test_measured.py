"""The table at the end of a recipe: complete, in order, or an error that names what is missing."""

import json
import subprocess
import time
from dataclasses import asdict

import pytest

from recipes.nano.measured import measured
from thinktalk.contracts import UserError
from thinktalk.eval.task import Row


def test_rows_are_in_order_whichever_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path):
    under_way, most = 0, 0

    def run(command: list[str], **_) -> subprocess.CompletedProcess:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        task = command[command.index("--task") + 1]
        time.sleep(0.2 if task == "first" else 0.05)
        under_way -= 1
        rows = [asdict(Row(f"{task} {i}", 1.0, 2)) for i in range(2)]
        return subprocess.CompletedProcess(command, 0, json.dumps({"rows": rows}), "")

    monkeypatch.setattr(subprocess, "run", run)
    rows = measured(tmp_path, 2, ["first", "second", "third"])
    assert [row.what for row in rows] == [
        f"{task} {i}" for task in ("first", "second", "third") for i in range(2)
    ]
    assert most == 2


def test_what_cannot_be_measured_is_said_with_its_reason(tmp_path):
    with pytest.raises(UserError, match="sounds was not measured: thinktalk: there is no folder") as raised:
        measured(tmp_path / "nothing", 1, ["sounds"])
    assert str(raised.value).count("\n") == 0
