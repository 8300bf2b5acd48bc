import json
import re

import pytest
import torch

from thinktalk.bench.machine import machine
from thinktalk.bench.page import fill_in, pieces
from thinktalk.bench.table import Table, text
from thinktalk.contracts import UserError

TABLE = Table("speed", "Speed", ("at once", "ms", "ok"), [(1, 12.3456, True), (16, None, None)], "Medians.")


@pytest.mark.parametrize(
    ("cell", "shown"),
    [(None, "–"), (float("nan"), "–"), (1234.6, "1,235"), (0.012345, "0.0123"), (True, "yes"), (7, "7")],
)
def test_a_cell_shows_three_figures(cell, shown):
    assert text(cell) == shown


def test_markdown_has_a_line_a_row_and_the_note():
    assert TABLE.markdown().splitlines() == [
        "| at once | ms | ok |",
        "|---|---:|---:|",
        "| 1 | 12.3 | yes |",
        "| 16 | – | – |",
        "",
        "Medians.",
    ]


def test_json_has_no_nan():
    shown = Table("t", "T", ("a",), [(float("nan"),), (float("inf"),), (1.5,)]).json()
    assert json.loads(json.dumps(shown, allow_nan=False))["rows"] == [[None], [None], [1.5]]


def test_a_page_keeps_what_it_says_beside_its_figures(tmp_path):
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    places = ("speed", "other", "picture")
    page.write_text(
        "Before\n" + "".join(f"<!-- bench: {key} -->\nold {key}\n<!-- end -->\n" for key in places)
    )
    written = pieces(
        [TABLE, Table("unplaced", "", (), [])], [tmp_path / "picture.png"], page, "On a Tuesday."
    )
    assert fill_in(page, written) == ["speed", "picture"]
    after = page.read_text()
    assert after.startswith("Before\n") and "old other" in after
    assert "old speed" not in after and "old picture" not in after
    assert (
        "| 1 | 12.3 | yes |" in after and "On a Tuesday." in after and "![picture](../picture.png)" in after
    )
    fill_in(page, written)
    assert page.read_text() == after  # again gives the same


def test_a_page_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        fill_in(tmp_path / "none.md", {})


def test_the_machine_says_what_figures_depend_on():
    here = machine(torch.device("cpu"), torch.float32)
    assert re.search(r"cpu, float32; \d+ of \d+ cores; torch \d", str(here))
