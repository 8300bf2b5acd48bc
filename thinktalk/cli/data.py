"""`thinktalk data`: what there is to learn from."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    track,
)
from rich.table import Table

from thinktalk.cli.terminal import show
from thinktalk.train.data.check import LONGEST, Checker, Problem
from thinktalk.train.data.content import content_hash
from thinktalk.train.data.making import KINDS
from thinktalk.train.data.making import make as make_examples
from thinktalk.train.data.manifest import read, write

app = typer.Typer(add_completion=False)


@app.callback()
def data() -> None:
    """Make and check what a model is to learn from."""


@app.command()
def make(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"One of {', '.join(KINDS)}.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="F.jsonl", help="The manifest; media go beside it.")
    ],
    count: Annotated[int, typer.Option(min=1, metavar="N", help="How many examples.")] = 100,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed makes the same examples.")] = 0,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Of the side that is never trained on.")
    ] = False,
) -> None:
    """Synthesise examples: speech to write down, spoken questions, or something shown with a question about it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    examples = make_examples(kind, "test" if held_out else "train", count, seed, out.parent / out.stem)
    console = Console(stderr=True)
    write(out, track(examples, f"making {kind}", count, console=console, disable=not console.is_terminal))
    show(f"{count:,} examples in {out}, content {content_hash(read(out))[:16]}\n")


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Manifests: JSON lines.")],
    skip: Annotated[
        bool, typer.Option("--skip", help="Exit 0 as long as anything is left, as training goes on.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first fault, as training may.")
    ] = False,
    longest: Annotated[
        float, typer.Option(min=0.01, metavar="SECONDS", help="How long a sound or video may last.")
    ] = LONGEST,
) -> None:
    """Read every line and every file that it names, and tell what is wrong, by line. Exit 1 if anything is."""
    if skip and strict:
        raise typer.BadParameter("--skip and --strict exclude each other")
    manifests = [read(file) for file in files]
    checker, problems, usable = Checker(longest, decode=True), list[Problem](), 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        for manifest in manifests:
            for index in progress.track(range(len(manifest)), description=manifest.path.name):
                if problem := checker(manifest, index):
                    problems.append(problem)
                    show(f"{problem}\n")
                    if strict:
                        raise typer.Exit(1)
                else:
                    usable += 1
    print_summary(problems, usable)
    if not usable or (problems and not skip):
        raise typer.Exit(1)


def print_summary(problems: list[Problem], usable: int) -> None:
    """How many examples have which fault, on stdout."""
    total = len(problems) + usable
    if problems:
        table = Table("fault", "examples", box=SIMPLE)
        table.columns[1].justify = "right"
        for kind, count in Counter(problem.kind for problem in problems).most_common():
            table.add_row(kind, f"{count:,}")
        Console(highlight=False, markup=False).print(table)
    show(f"{usable:,} of {total:,} examples can be learnt from\n")
