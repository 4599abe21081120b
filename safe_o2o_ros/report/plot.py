"""plot.png: per episode the floor plan with the path; reward, cost, safety value and answers over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from safe_o2o_ros.report import style
from safe_o2o_ros.report.floor_plan import draw_floor_plan
from safe_o2o_ros.report.log import EpisodeLog
from safe_o2o_ros.report.scene import SceneView, goal_ticks

MAX_EPISODES = 8
"""Episodes in one picture; more would not be legible."""

_ROW_IN = 4.7
_STYLE: Any = {**style.AXES, "hatch.linewidth": 0.7}


def write_plot(
    path: Path,
    title: str,
    episodes: Sequence[EpisodeLog],
    view: SceneView,
    names: Sequence[str] | None = None,
) -> None:
    """Draw the first `MAX_EPISODES` episodes into a PNG file; `names`: theirs, other than by number."""
    shown = episodes[:MAX_EPISODES]
    more = f" (the first {len(shown)} of {len(episodes)} episodes)" if len(shown) < len(episodes) else ""
    with rc_context(_STYLE):
        height = _ROW_IN * len(shown) + 0.75
        figure = Figure(figsize=(13.0, height), facecolor="white")
        FigureCanvasAgg(figure)
        figure.text(0.035, 1 - 0.38 / height, title + more, fontsize=15, fontweight="bold", va="center")
        rows = figure.add_gridspec(
            len(shown), 1, left=0.045, right=0.955, top=1 - 1.4 / height, bottom=0.55 / height, hspace=0.4
        )
        for index, log in enumerate(shown):
            name = f"Episode {index + 1}" if names is None else names[index]
            _draw_episode(figure, rows[index], name, log, view)
        figure.savefig(path, dpi=110)


def _draw_episode(figure: Any, cell: Any, name: str, log: EpisodeLog, view: SceneView) -> None:
    columns = cell.subgridspec(1, 2, width_ratios=(1.0, 2.05), wspace=0.13)
    plan = figure.add_subplot(columns[0])
    draw_floor_plan(plan, log, view)
    right = columns[1].subgridspec(3, 1, height_ratios=(3.2, 3.0, 0.55), hspace=0.16)
    sums = figure.add_subplot(right[0])
    value = figure.add_subplot(right[1], sharex=sums)
    answers = figure.add_subplot(right[2], sharex=sums)
    box = cell.get_position(figure)
    words = [
        f"seed {log.seed}",
        f"reward {log.reward.sum():.2f}",
        f"cost {log.cost.sum():.0f}",
        f"{log.goals} goal{'' if log.goals == 1 else 's'}",
        f"{np.count_nonzero(log.changed)} of {len(log.reward)} commands overridden",
    ]
    at = box.y1 + 0.36 / figure.get_figheight()
    figure.text(0.035, at, name, fontsize=11.5, fontweight="bold")
    figure.text(0.12, at, "   ·   ".join(words), fontsize=10.5, color="#4a5562")
    _draw_sums(sums, log)
    _draw_value(value, log)
    _draw_answers(answers, log)
    sums.set_xlim(0.0, _edges(log)[-1])
    for axes in (sums, value):
        axes.tick_params(labelbottom=False, length=2)
        axes.grid(axis="y", color="#e8ecf0", linewidth=0.8)
        axes.set_axisbelow(True)


def _edges(log: EpisodeLog) -> Any:
    """(T + 1,) start of every tick and the end of the last, seconds."""
    return np.append(log.time_s, log.time_s[-1] + log.period_s)


def _draw_sums(axes: Any, log: EpisodeLog) -> None:
    edges = _edges(log)
    reward, cost = (np.append(0.0, np.cumsum(row)) for row in (log.reward, log.cost))
    axes.plot(edges, reward, color=_hex(style.REWARD), linewidth=1.8)
    reached = goal_ticks(log)
    axes.plot(
        edges[reached + 1], reward[reached + 1], "o", ms=5, color=_hex(style.GOAL), mec="white", mew=0.8
    )
    axes.set_ylabel("reward so far", color=_hex(style.REWARD))
    axes.margins(y=0.12)
    other = axes.twinx()
    other.spines["right"].set_visible(True)
    other.fill_between(edges, cost, step="post", color=_hex(style.COST), alpha=0.08, linewidth=0)
    other.step(edges, cost, where="post", color=_hex(style.COST), linewidth=1.6, linestyle=(0, (5, 1.5)))
    other.set_ylim(0.0, max(1.12 * float(cost[-1]), 5.0))
    other.set_ylabel("cost so far", color=_hex(style.COST))
    other.tick_params(length=2)


def _draw_value(axes: Any, log: EpisodeLog) -> None:
    axes.set_ylim(-0.04, 1.04)
    axes.set_yticks((0.0, 0.5, 1.0))
    axes.set_ylabel("safety value")
    if not np.isfinite(log.value).any():
        text = "no safety value: the filter did not compute one"
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="#62707e")
        return
    centres = log.time_s + 0.5 * log.period_s
    low = np.isfinite(log.value) & (log.value < log.threshold)
    axes.fill_between(
        _edges(log), 0, 1, where=np.append(low, low[-1]), step="post", color="#f7dcc0", linewidth=0
    )
    points = np.stack([centres, log.value], axis=1)
    colours = style.value_colours(log.value) / 255.0
    if len(points) > 1:
        lines = np.stack([points[:-1], points[1:]], axis=1)
        axes.add_collection(LineCollection(list(lines), colors=colours[1:], linewidths=2.0, capstyle="round"))
    else:
        axes.scatter(points[:, 0], points[:, 1], c=colours, s=18)
    axes.step(
        _edges(log), np.append(log.threshold, log.threshold[-1]), where="post", color="#1c2733", lw=1, ls=":"
    )
    finite = log.threshold[np.isfinite(log.threshold)]
    if finite.size:
        label = axes.annotate(
            "threshold", (1.0, float(finite[-1])), xycoords=("axes fraction", "data"), fontsize=8
        )
        label.set(position=(-3, 2), ha="right", va="bottom")
        label.set_anncoords("offset points")


def _draw_answers(axes: Any, log: EpisodeLog) -> None:
    edges = _edges(log)
    for first, end, reason in style.runs(log.reason):
        band = style.band_of(reason)
        axes.axvspan(
            edges[first],
            edges[end],
            facecolor=_hex(band.colour),
            hatch=band.hatch,
            edgecolor="white",
            linewidth=0,
        )
    axes.set_yticks([])
    axes.set_ylabel("filter", rotation=0, ha="right", va="center")
    axes.set_xlabel("time, s", loc="left", labelpad=1)
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=2)
    counts = Counter(style.band_of(reason) for reason in log.reason)
    handles = [
        Patch(
            facecolor=_hex(band.colour),
            hatch=band.hatch,
            edgecolor="white",
            label=f"{band.label}  {100 * count / len(log.reason):.0f} %",
        )
        for band, count in counts.most_common()
    ]
    axes.legend(
        handles=handles, loc="upper right", bbox_to_anchor=(1.0, -0.85), ncols=len(handles), frameon=False,
        fontsize=9, handlelength=1.4, columnspacing=1.6, borderaxespad=0.0,
    )  # fmt: skip


def _hex(colour: style.RGB) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
