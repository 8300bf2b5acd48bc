"""The figures as a table for people, and as a page with spectrograms."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np

from thinktalk.eval.task import Row
from thinktalk.rates import SPEAKING_RATE

matplotlib.use("Agg")
from matplotlib import pyplot


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    head = "| held out | measured | aimed at | judge's floor | of |\n|---|---|---|---|---|\n"
    return head + "\n".join(
        f"| {row.what} | {_percent(row.value) or f'not measured: {row.reason}'} | {row.bar} | {_percent(row.floor)} "
        f"| {row.count} |"
        for row in rows
    )


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} %"


def spectrograms(path: Path, text: str, waves: Mapping[str, np.ndarray]) -> None:
    """Write a picture of `waves` at 24 kHz, one below the other, under what they say."""
    figure, axes = pyplot.subplots(len(waves), 1, figsize=(9, 7), sharex=True, layout="constrained")
    for axis, (kind, wave) in zip(np.atleast_1d(axes), waves.items(), strict=True):
        axis.specgram(
            wave + 1e-6, NFFT=1024, noverlap=768, Fs=SPEAKING_RATE, vmin=-130, vmax=-30, cmap="magma"
        )
        axis.set(ylim=(0, 8000), ylabel="Hz", title=kind)
    np.atleast_1d(axes)[-1].set_xlabel("seconds")
    figure.suptitle(f"“{text}”")
    figure.savefig(path, dpi=80)
    pyplot.close(figure)
