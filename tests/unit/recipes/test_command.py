"""How a recipe ends that cannot do what it is asked."""

import subprocess
import sys

import pytest

ASKED = (
    ("recipes.nano.train", "--stage", "codec", "--out"),
    ("recipes.nano.ablations", "codebooks", "--out"),
)


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked[0])
def test_what_is_missing_is_said_in_one_line(asked: tuple[str, ...], tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", *asked, tmp_path], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1 and not ended.stdout
    assert ended.stderr.startswith(f"error: no speech in {tmp_path}") and ended.stderr.count("\n") == 1
