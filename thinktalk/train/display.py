"""What a person sees of a run: a live line in a terminal, plain lines elsewhere, and TensorBoard."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from thinktalk.train.plan import Plan

COUNTED = ("tokens", "examples")  # figures that are shown per second


class Display:
    """Shows the run of stage `name`, from `step` on. A display that is not `shown` keeps quiet."""

    def __init__(self, name: str, plan: Plan, step: int, folder: Path, shown: bool = True):
        self.name, self.plan, self.begun = name, plan, step
        self.shown = shown
        self.console = Console(soft_wrap=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        figures = TextColumn("{task.fields[figures]}")
        self.live = shown and self.console.is_terminal
        self.bar = Progress(*columns, figures, console=self.console, disable=not self.live)
        self.task = self.bar.add_task(name, total=plan.steps, completed=step, figures="")
        self.board = _board(folder, step) if shown and step < plan.steps else None

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()
        if self.board is not None:
            self.board.close()

    def step(self, done: int) -> None:
        """`done` steps are done."""
        self.bar.update(self.task, completed=done)

    def figures(self, done: int, means: Mapping[str, float], seconds: float, batches: int) -> None:
        """Show `means` over `batches` batches that took `seconds`, the last of them in step `done`."""
        if not self.shown:
            return
        seconds = max(seconds, 1e-9)
        rates = {f"{name}/s": means[name] * batches / seconds for name in COUNTED if name in means}
        words = [f"{name} {value:.4g}" for name, value in means.items() if name not in COUNTED]
        text = " ".join(words + [f"{name} {value:,.0f}" for name, value in rates.items()])
        if self.live:
            self.bar.update(self.task, figures=text)
        else:
            left = (self.plan.steps - done) * seconds * self.plan.accumulate / max(1, batches)
            self.console.print(
                f"{self.name} {done}/{self.plan.steps} {text} left {timedelta(seconds=round(left))}",
                markup=False,
                highlight=False,
            )
        if self.board is not None:
            for name, value in {**means, **rates, "rate": self.plan.rate(done - 1)}.items():
                self.board.add_scalar(f"{self.name}/{name}", value, done)


def _board(folder: Path, step: int) -> Any:
    """A writer for TensorBoard that forgets what came after `step`; None where TensorBoard is not installed."""
    writer = _writer()
    return writer and writer(str(folder / "tensorboard"), purge_step=step + 1)


@cache  # so that it is said once
def _writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        print("no TensorBoard: pip install 'thinktalk[train]' brings it")
        return None
    return SummaryWriter
