"""`thinktalk info`: what is in a checkpoint, and what it takes to run it."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from thinktalk.checkpoint import CheckpointInfo, describe, locate
from thinktalk.cli import options
from thinktalk.cli.terminal import busy, show_json

app = typer.Typer(add_completion=False)

CONVERSATIONS = (1_000, 8_000, 32_000)  # tokens


@app.command()
def info(
    model: Annotated[
        str, typer.Argument(metavar="M", help='"nano", a checkpoint folder, or owner/name on a hub.')
    ] = options.DEFAULT_MODEL,
    json: options.Json = False,
) -> None:
    """Show the parts of a checkpoint, their sizes, its voices and the memory it needs. Loads no weights."""
    with busy(f"Reading {model}"):
        folder = locate(model)
        found = describe(folder)
    if json:
        needed = {str(tokens): found.memory(tokens) for tokens in CONVERSATIONS}
        totals = {"parameters": found.parameters, "bytes": found.bytes, "memory": needed}
        show_json({"model": model, "folder": str(folder), **asdict(found), **totals})
    else:
        print_info(model, found)


def print_info(model: str, found: CheckpointInfo) -> None:
    """The table for a person, on stdout."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"{model}: {found.architecture}, stored as {', '.join(found.dtypes)}")
    table = Table(box=SIMPLE, show_footer=True)
    table.add_column("part", "total")
    table.add_column("parameters", count(found.parameters), justify="right")
    table.add_column("active a step", justify="right")
    table.add_column("size", size(found.bytes), justify="right")
    for part in found.parts:
        table.add_row(part.name, count(part.parameters), count(part.active), size(part.bytes))
    console.print(table)
    console.print(f"voices: {', '.join(found.voices) if found.speaks else 'none, it only writes'}")
    needed = ", ".join(f"{size(found.memory(n))} for {n:,} tokens" for n in CONVERSATIONS)
    console.print(f"memory: {needed}")


def count(number: float) -> str:
    """1234567 -> "1.23 M"; three figures, in thousands, millions, billions."""
    return _scaled(number, "", "K", "M", "B")


def size(number: float) -> str:
    """Bytes -> "1.23 GB", in powers of 1000."""
    return _scaled(number, "B", "kB", "MB", "GB")


def _scaled(number: float, *units: str) -> str:
    for unit in units[:-1]:
        if number < 999.5:
            return f"{number:.3g} {unit}".strip()
        number /= 1000
    return f"{number:,.1f} {units[-1]}" if number >= 100 else f"{number:.3g} {units[-1]}"
