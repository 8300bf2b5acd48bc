"""How a recipe ends that cannot do what it is asked."""

import subprocess
import sys
from pathlib import Path

import pytest

ASKED = (
    ("recipes.nano.train", "--stage", "codec", "--out"),
    ("recipes.nano.ablations", "codebooks", "--out"),
)


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked[0])
def test_what_is_missing_is_said_in_one_line(asked: tuple[str, ...], tmp_path: Path):
    assert _complaint(*asked, tmp_path).startswith(f"error: no speech in {tmp_path}")


@pytest.mark.parametrize("alone", [(), ("--stage", "codec")], ids=["all", "a stage"])
def test_what_was_begun_for_longer_does_not_end_sooner(alone: tuple[str, ...], tmp_path: Path):
    (tmp_path / "longer").write_text("2.0")
    complaint = _complaint("recipes.nano.train", *alone, "--out", tmp_path)
    assert complaint.startswith(f"error: {tmp_path} was begun with --longer 2.0")
    assert [path.name for path in tmp_path.iterdir()] == ["longer"]


def _complaint(*asked: str | Path) -> str:
    """The one line in which a recipe ends."""
    ended = subprocess.run(
        [sys.executable, "-m", *asked], capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == 1 and not ended.stdout and ended.stderr.count("\n") == 1
    return ended.stderr
