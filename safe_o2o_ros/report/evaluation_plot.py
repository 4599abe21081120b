"""episodes.png: reward and cost of every episode as dots, row by row, with the means and their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from safe_o2o_ros.report import style
from safe_o2o_ros.report.record import extremes

_ROW_IN, _AROUND_IN = 0.95, 1.25
_SPREAD = 0.30
"""How far dots of a row are apart at most, of the distance of two rows."""

Colour = tuple[float, float, float]
_MARKERS = {"best": "^", "worst": "v"}


def write_distribution(path: Path, labels: Sequence[str], records: Sequence[dict[str, Any]]) -> None:
    """Draw the rows from top to bottom into a PNG file."""
    with rc_context(style.AXES):
        height = _ROW_IN * len(records) + _AROUND_IN
        figure = Figure(figsize=(13.0, height), facecolor="white")
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2, sharey=True)
        widest = max(len(word) for label in labels for word in label.split(" · "))
        figure.subplots_adjust(
            left=min(0.03 + 0.0062 * widest, 0.3), right=0.98, top=1 - 0.55 / height, bottom=0.5 / height,
            wspace=0.05,
        )  # fmt: skip
        for axes, name, colour in ((left, "reward", style.REWARD), (right, "cost", style.COST)):
            _draw(axes, name, _unit(colour), records)
        # One part of a label a line, so that long ones leave room for the dots.
        left.set_yticks(range(len(labels)), [label.replace(" · ", "\n") for label in labels])
        left.tick_params(axis="y", labelcolor="#1c2733", length=0)
        right.tick_params(axis="y", length=0)
        left.set_ylim(len(labels) - 0.45, -0.55)
        figure.legend(
            handles=_legend(), loc="upper right", bbox_to_anchor=(0.985, 1.0), ncols=4, frameon=False,
            fontsize=9, handletextpad=0.4, columnspacing=1.6,
        )  # fmt: skip
        figure.savefig(path, dpi=110)


def _draw(axes: Any, name: str, colour: Colour, records: Sequence[dict[str, Any]]) -> None:
    axes.set_title(f"{name} per episode", loc="left", fontsize=11.5, fontweight="bold")
    axes.grid(axis="x", color="#e8ecf0", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="x", length=2)
    axes.margins(x=0.04)
    mark: Any = {"ms": 8, "color": _unit(style.INK), "mfc": "none", "mew": 1.3, "zorder": 4}
    for place, record in enumerate(records):
        values = np.array([entry[name] for entry in record["per_episode"]], np.float64)
        heights = place + 0.14 + _beside(values)
        axes.plot(values, heights, "o", ms=5, color=(*colour, 0.45), mec="white", mew=0.5, zorder=2)
        for which, index in extremes(record).items():
            if which in _MARKERS:
                axes.plot(values[index], heights[index], _MARKERS[which], **mark)
        interval = record[f"{name}_ci95"]
        if interval is not None:
            ends = (place - 0.2, place - 0.2)
            axes.plot(interval, ends, "-", color=colour, linewidth=4, solid_capstyle="butt", zorder=3)
        axes.plot(record[f"{name}_mean"], place - 0.2, "D", ms=7, color=colour, mec="white", mew=1, zorder=4)
    for place, record in enumerate(records):
        _write_mean(axes, place - 0.2, record, name)


def _write_mean(axes: Any, place: float, record: dict[str, Any], name: str) -> None:
    """The numbers above the mean, and not beyond the ends of the axes."""
    mean, interval = record[f"{name}_mean"], record[f"{name}_ci95"]
    words = f"{mean:.2f}" + ("" if interval is None else f"  [{interval[0]:.2f}, {interval[1]:.2f}]")
    low, high = axes.get_xlim()
    share = (mean - low) / (high - low)
    align = "left" if share < 0.13 else "right" if share > 0.87 else "center"
    at = {"left": -5, "center": 0, "right": 5}[align]
    axes.annotate(
        words, (mean, place), xytext=(at, 7), textcoords="offset points", ha=align, va="bottom", fontsize=8.5
    )


def _beside(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Offsets of dots so that near ones lie beside each other: always the same for the same values."""
    span = float(np.ptp(values)) or 1.0
    bins = np.round((values - values.min()) / span * 60.0)
    offsets = np.zeros(len(values))
    for key in np.unique(bins):
        members = np.flatnonzero(bins == key)
        step = min(0.07, _SPREAD / max(len(members), 1))
        offsets[members] = step * (np.arange(len(members)) - 0.5 * (len(members) - 1))
    return offsets


def _legend() -> list[Line2D]:
    ink = _unit(style.INK)
    return [
        Line2D([], [], ls="", marker="o", ms=5, color=(*ink, 0.45), label="episode"),
        Line2D([], [], lw=4, marker="D", ms=7, mec="white", color=ink, label="mean, 95 % interval"),
        Line2D([], [], ls="", marker="^", ms=8, mfc="none", mew=1.3, color=ink, label="best episode"),
        Line2D([], [], ls="", marker="v", ms=8, mfc="none", mew=1.3, color=ink, label="worst episode"),
    ]


def _unit(colour: style.RGB) -> Colour:
    return (colour[0] / 255.0, colour[1] / 255.0, colour[2] / 255.0)
