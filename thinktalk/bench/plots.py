"""Tables as pictures: latency by how many ask at once, and how near each stage comes to the roofline."""

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import numpy as np

from thinktalk.bench.table import Table

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes


def draw(tables: Sequence[Table], folder: Path) -> list[Path]:
    """Write what can be drawn of `tables` as PNG into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures: list[tuple[str, Callable[[Axes], None]]] = []
    if packets := [table for table in tables if table.key.startswith("first_packet_")]:
        pictures.append(("bench_latency", lambda axes: _latency(axes, packets)))
    if roofs := [table for table in tables if table.key == "roofline"]:
        pictures.append(("bench_roofline", lambda axes: _roofline(axes, roofs[0])))
    return [_write(folder / f"{name}.png", picture) for name, picture in pictures]


def _write(path: Path, picture: Callable[[Axes], None]) -> Path:
    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    picture(axes)
    figure.savefig(path, dpi=110, bbox_inches="tight")
    pyplot.close(figure)
    return path


def _latency(axes: Axes, tables: Sequence[Table]) -> None:
    for table in tables:
        levels = [int(column.split()[0]) for column in table.columns[1:]]
        overall = [np.nan if cell is None else float(cell) for cell in table.rows[-1][1:]]
        axes.plot(levels, overall, marker="o", label=f"{table.columns[0]} prompt")
    axes.set(
        xlabel="conversations at once", ylabel="ms to the first sound", title="First packet", ylim=(0, None)
    )
    axes.legend()


def _roofline(axes: Axes, table: Table) -> None:
    bandwidth, flops = table.facts["bandwidth"], table.facts["flops"]
    column = {name: place for place, name in enumerate(table.columns)}
    intensities = [float(row[column["FLOP/byte"]] or 0) for row in table.rows]
    span = np.geomspace(min(intensities) / 4, max(*intensities, flops / bandwidth) * 4, 200)
    axes.loglog(span, np.minimum(span * bandwidth, flops) / 1e9, color="black", label="this machine")
    for row, intensity in zip(table.rows, intensities, strict=True):
        if (milliseconds := row[column["ms"]]) is not None:
            done = float(row[column["MFLOP"]] or 0) / float(
                milliseconds
            )  # MFLOP a millisecond are GFLOP a second
            axes.plot(intensity, done, marker="o", linestyle="", label=row[0])
    axes.set(xlabel="FLOP for each byte", ylabel="GFLOP/s", title="Roofline")
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))  # beside, or it hides stages
