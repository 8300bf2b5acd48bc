"""Figures into a page that says, between marks, where each belongs; what else it says stays."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from thinktalk.bench.table import Table
from thinktalk.contracts import UserError

PLACE = re.compile(r"(<!-- bench: (?P<key>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill_in(page: Path, pieces: Mapping[str, str]) -> list[str]:
    """Put each piece between `<!-- bench: KEY -->` and `<!-- end -->` in `page` -> the keys found there."""
    try:
        before = page.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{page} cannot be read: {error.strerror}") from None
    found: list[str] = []

    def fill(place: re.Match[str]) -> str:
        key = place["key"]
        if key not in pieces:
            return place[0]
        found.append(key)
        return f"{place[1]}{pieces[key]}\n{place[3]}"

    page.write_text(PLACE.sub(fill, before), encoding="utf-8")
    return found


def pieces(tables: Sequence[Table], pictures: Sequence[Path], page: Path, where: str) -> dict[str, str]:
    """Markdown of tables, each with `where` it was measured, and of pictures, by key and by name."""
    written = {table.key: f"{table.markdown()}\n\n{where}" for table in tables}
    for picture in pictures:
        target = Path(os.path.relpath(picture, page.parent)).as_posix()
        written[picture.stem] = f"![{picture.stem}]({target})"
    return written
