"""finetune.png: reward and cost of every tuning episode against the frozen bundle, releases, and the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from safe_o2o_ros.report import style

_WINDOW = 10


def write_finetune(path: Path, record: dict[str, Any]) -> None:
    """Draw a record of `safe-o2o finetune` into a PNG file."""
    tuning, evaluation = record["tuning"], record["evaluation"]
    with rc_context(style.AXES):
        figure = Figure(figsize=(11.0, 7.0), facecolor="white")
        canvas = FigureCanvasAgg(figure)
        grid = figure.add_gridspec(3, 4, left=0.07, right=0.98, top=0.82, bottom=0.08, hspace=0.5, wspace=0.5)
        title = f"{record['task']}, {record['variant'] or 'as published'}: fine-tuning on the robot"
        figure.text(0.02, 0.955, title, fontsize=15, fontweight="bold", va="center")
        figure.text(0.02, 0.91, _sentence(record), fontsize=10, color="#4a5562", va="center")
        x = np.arange(1, len(tuning["episodes"]) + 1)
        axes = [figure.add_subplot(grid[row, :3]) for row in range(3)]
        for panel, key in zip(axes[:2], ("reward", "cost"), strict=True):
            for name, entries, colour in (
                ("frozen bundle, same scenes", tuning["frozen"], style.OTHER),
                ("while tuning", tuning["episodes"], style.REWARD if key == "reward" else style.COST),
            ):
                values = np.array([e[key] for e in entries], float)
                panel.plot(x, values, ".", color=_hex(colour), alpha=0.35, markersize=5)
                panel.plot(x, _running(values), color=_hex(colour), linewidth=2, label=name)
            panel.set_ylabel(f"{key} an episode")
            panel.legend(loc="upper left", frameon=False, fontsize=8.5, ncols=2)
            panel.margins(y=0.18)
        share = np.array([e["online_share"] for e in tuning["episodes"]], float)
        axes[2].bar(x, 100 * share, color=_hex(style.PASS.colour), width=0.8)
        axes[2].set_ylabel("online actor\n% of ticks")
        axes[2].set_xlabel("tuning episode")
        axes[2].set_ylim(0, 100)
        for panel in axes:
            panel.set_xlim(0.4, len(x) + 1.0)
        for gate in tuning["gate"]:
            for panel in axes:
                panel.axvline(
                    gate["episode"] + 0.5,
                    color=_hex(style.INK if gate["passed"] else style.COST),
                    linewidth=0.8,
                    linestyle="-" if gate["passed"] else ":",
                )
            if not gate["passed"]:
                axes[2].text(gate["episode"] + 0.5, 96, f" {gate['refusal']}", fontsize=8, va="top")
        for row, key in enumerate(("reward", "cost")):
            _bars(figure.add_subplot(grid[row, 3]), evaluation, key)
        figure.text(
            0.79, 0.30, "solid line: released\ndotted line: refused by the gate", fontsize=9, va="top"
        )
        canvas.print_png(str(path))


def _bars(axes: Any, evaluation: dict[str, Any], key: str) -> None:
    told = evaluation[key]
    colours = [_hex(style.OTHER), _hex(style.REWARD if key == "reward" else style.COST)]
    values = [told["frozen"] or 0.0, told["tuned"] or 0.0]
    axes.bar(["frozen", "tuned"], values, color=colours, width=0.6)
    for place, value in enumerate(values):
        axes.text(place, value, f"{value:.1f}", ha="center", va="bottom", fontsize=9)
    interval = told["difference_ci95"]
    said = "" if interval is None else f"\ndifference {interval[0]:+.1f} to {interval[1]:+.1f}"
    axes.set_title(f"{key}, {evaluation['scenes']} unseen scenes{said}", fontsize=9)
    axes.set_ylim(0.0, 1.2 * max(1.0, *values))


def _running(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the last _WINDOW values, of fewer at the start."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    last = np.arange(1, len(total))
    first = np.maximum(last - _WINDOW, 0)
    return np.asarray((total[last] - total[first]) / (last - first))


def _sentence(record: dict[str, Any]) -> str:
    tuning = record["tuning"]
    passed = sum(1 for g in tuning["gate"] if g["passed"])
    cost = tuning["violations"]
    return (
        f"{record['frozen']}; {len(tuning['episodes'])} episodes, {passed} of {len(tuning['gate'])} "
        f"candidates released; cost during tuning {cost['tuned']:.0f}, of the frozen bundle in the same "
        f"scenes {cost['frozen']:.0f}"
    )


def _hex(colour: style.RGB) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
