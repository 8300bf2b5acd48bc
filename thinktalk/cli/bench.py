"""`thinktalk bench`: how fast a model is on this machine, by stage and by how many talk at once."""

import json as encoding
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from thinktalk.bench.machine import machine
from thinktalk.bench.measures import MEASURES
from thinktalk.bench.page import fill_in, pieces
from thinktalk.bench.shapes import SHAPES
from thinktalk.bench.subject import DTYPES, FULL, QUICK, Bench, Subject
from thinktalk.bench.table import Table
from thinktalk.cli import options
from thinktalk.cli.terminal import busy, note, show_json
from thinktalk.contracts import UserError

app = typer.Typer(add_completion=False)


@app.command()
def bench(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="[WHAT]...", help=f"Of {', '.join(MEASURES)}; all if none is named."),
    ] = None,
    model: options.Model = options.DEFAULT_MODEL,
    shape: Annotated[
        str | None,
        typer.Option(metavar="S", help=f"Random weights of a shape instead of a model: {', '.join(SHAPES)}."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="D", help="cpu, cuda, ...; the GPU if there is one.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(metavar="T", help=f"Of the weights: {', '.join(DTYPES)}.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Of the CPU, for one operation.")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="A figure is the median of so many rounds.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small and short: to see that it works.")] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Of random weights, and of what is sampled.")] = 0,
    json: Annotated[Path | None, typer.Option(metavar="F.json", help="Write all figures there, too.")] = None,
    plots: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw latency and roofline there, as PNG.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(metavar="F.md", help="Put the tables into their places in this page.")
    ] = None,
) -> None:
    """Measure how fast a model hears, thinks and speaks here.

    Tables for people; the last line of stdout is all of it as JSON. `reach` holds ratios against their bars.
    """
    if unknown := [name for name in what or () if name not in MEASURES]:
        raise UserError(
            f"there is nothing to measure by the name of {unknown[0]!r}; there are {', '.join(MEASURES)}"
        )
    subject = Subject(model, shape, device, dtype, threads, seed)
    plan = QUICK if quick else FULL
    draw = _drawing() if plots else None
    with busy("Measuring") as spinner:
        measured = Bench(subject, replace(plan, rounds=rounds or plan.rounds), spinner.update)
        omni = measured.omni
        here = machine(subject.on, next(omni.model.parameters()).dtype)
        tables = [table for name in what or MEASURES for table in MEASURES[name](measured)]
    console = Console(highlight=False)
    console.print(f"{subject.name}, seed {seed}, on {here}", soft_wrap=True)
    for table in tables:
        console.print(table.rich())
        console.print(table.note, style="dim")
    pictures = draw(tables, plots) if draw and plots else []
    for picture in pictures:
        note(f"wrote {picture}")
    if page:
        where = f"Measured: {subject.name}, seed {seed}, on {here}."
        filled = fill_in(page, pieces(tables, pictures, page, where))
        note(f"{page}: {', '.join(filled) or 'no table has a place there'}")
    figures: dict[str, Any] = {
        "machine": asdict(here),
        "subject": asdict(subject),
        "plan": asdict(measured.plan),
        "tables": {table.key: table.json() for table in tables},
    }
    if json:
        json.write_text(encoding.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    show_json(figures)


def _drawing() -> Callable[[Sequence[Table], Path], list[Path]]:
    try:
        from thinktalk.bench.plots import draw
    except ImportError:
        raise UserError(
            "--plots needs matplotlib, which is not installed: pip install 'thinktalk[bench]'"
        ) from None
    return draw
