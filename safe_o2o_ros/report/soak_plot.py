"""soak.png: memory of each process and latency over the time of a long run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from safe_o2o_ros.report import style

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#8a6d1d", "#5b4a99")
"""Okabe and Ito's, told apart by colour-blind readers; the last two for lists that are longer."""


def write_soak_plot(path: Path, result: dict[str, Any]) -> None:
    """Draw the result of `bench soak` into a PNG file."""
    windows = result["windows"]
    minutes = np.array([w["end_s"] for w in windows]) / 60.0
    with rc_context(style.AXES):
        figure = Figure(figsize=(11.0, 6.6), facecolor="white")
        FigureCanvasAgg(figure)
        title = f"{result['minutes']:g} min of {result['task']} in real time"
        figure.text(0.07, 0.95, title, fontsize=15, fontweight="bold", va="center")
        memory, latency = figure.subplots(2, 1, sharex=True, gridspec_kw={"hspace": 0.16})
        figure.subplots_adjust(left=0.07, right=0.8, top=0.9, bottom=0.08)
        _draw_memory(memory, minutes, windows)
        _draw_latency(latency, minutes, windows, result["period_ms"])
        latency.set_xlabel("minutes")
        latency.set_xlim(0.0, float(minutes[-1]))
        figure.savefig(path, dpi=110)


def _draw_memory(axes: Any, minutes: Any, windows: list[dict[str, Any]]) -> None:
    """Change since the first window: the processes differ by more than they grow."""
    for index, name in enumerate(windows[0]["rss_mb"]):
        values = np.array([w["rss_mb"][name] for w in windows])
        colour = _COLOURS[index % len(_COLOURS)]
        label = f"{name}, {values[0]:.0f} MB"
        axes.plot(minutes, values - values[0], color=colour, lw=1.4, label=label)
    shm = np.array([w["shm_mb"] for w in windows])
    label = f"/dev/shm, {shm[0]:.0f} MB"
    axes.plot(minutes, shm - shm[0], color="#1c2733", lw=1.4, ls=":", label=label)
    axes.set_ylabel("memory since the start, MB")
    low, high = axes.get_ylim()
    # A flat line is to look flat.
    axes.set_ylim(min(low, -2.0), max(high, 2.0))
    _legend(axes)


def _draw_latency(axes: Any, minutes: Any, windows: list[dict[str, Any]], period_ms: float) -> None:
    parts = [np.asarray(w["latencies_ms"] or [np.nan]) for w in windows]
    rows = (("max", 100, "#b6c0ca"), ("p99", 99, "#d55e00"), ("p50", 50, "#0072b2"))
    for label, percent, colour in rows:
        values = [float(np.percentile(part, percent)) for part in parts]
        axes.plot(minutes, values, color=colour, lw=1.4, label=label)
    red = "#{:02x}{:02x}{:02x}".format(*style.COST)
    axes.axhline(period_ms, color=red, lw=1.0, ls="--", label=f"one period, {period_ms:g} ms")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel("image to command, ms")
    _legend(axes)


def _legend(axes: Any) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), frameon=False, fontsize=8.5, handlelength=1.4)
    axes.grid(axis="y", color="#eef1f4", lw=0.8)
