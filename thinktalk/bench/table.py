"""What a measure gives: a table that people, programs and pages can read."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.box import SIMPLE
from rich.table import Table as RichTable

Cell = str | float | int | bool | None


@dataclass(frozen=True)
class Table:
    """`rows` have a cell for each of `columns`; the first names the row. None: it could not be measured.

    `key` names it in a page and in JSON; `note` says how it was measured.
    """

    key: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    facts: Mapping[str, float] = field(default_factory=dict)  # what the rows rest on, for programs

    def rich(self) -> RichTable:
        """For a terminal, without its note."""
        shown = RichTable(title=self.title, box=SIMPLE, title_justify="left")
        for number, column in enumerate(self.columns):
            shown.add_column(column, justify="right" if number else "left")
        for row in self.rows:
            shown.add_row(*map(text, row))
        return shown

    def markdown(self) -> str:
        """For a page."""
        lines = [
            "| " + " | ".join(self.columns) + " |",
            "|---" + "|---:" * (len(self.columns) - 1) + "|",
            *("| " + " | ".join(map(text, row)) + " |" for row in self.rows),
        ]
        return "\n".join([*lines, "", self.note] if self.note else lines)

    def json(self) -> dict[str, object]:
        """For a program."""
        rows = [[_finite(cell) for cell in row] for row in self.rows]
        return {
            "title": self.title,
            "columns": list(self.columns),
            "rows": rows,
            "note": self.note,
            "facts": dict(self.facts),
        }


def text(cell: Cell) -> str:
    """Three figures of a number, "–" where there is nothing."""
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return str(cell)


def _finite(cell: Cell) -> Cell:
    """JSON has no NaN."""
    return cell if not isinstance(cell, float) or math.isfinite(cell) else None
