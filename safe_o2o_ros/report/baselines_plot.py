"""baselines.png: what every method costs and earns, with the intervals of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

from safe_o2o_ros.report import style

Interval = tuple[float, float]


@dataclass(frozen=True)
class Kind:
    """How methods of one kind look."""

    label: str
    colour: style.RGB
    marker: str
    size: float


OURS = Kind("ours", style.REWARD, "D", 10.0)
OTHER_AGENT = Kind("another agent, same data and world model", style.COST, "s", 8.0)
PART_OFF = Kind("ours without one part", style.PILLAR, "o", 8.0)


@dataclass(frozen=True)
class Point:
    """One method."""

    label: str
    kind: Kind
    reward: float
    cost: float
    reward_interval: Interval | None
    cost_interval: Interval | None


def write_baselines(
    path: Path, title: str, below: str, points: Sequence[Point], published: Interval | None
) -> None:
    """Draw into a PNG file; `below`: a line under the title. `published`: reward and cost of others."""
    with rc_context(style.AXES):
        figure = Figure(figsize=(10.5, 7.0), facecolor="white")
        canvas = FigureCanvasAgg(figure)
        axes = figure.subplots()
        figure.subplots_adjust(left=0.075, right=0.975, top=0.845, bottom=0.085)
        figure.text(0.022, 0.955, title, fontsize=15, fontweight="bold", va="center")
        figure.text(0.022, 0.912, below, fontsize=10, color="#4a5562", va="center")
        axes.grid(color="#e8ecf0", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(length=2)
        axes.set_xlabel("cost per episode")
        axes.set_ylabel("reward per episode")
        for point in points:
            _draw(axes, point)
        if published is not None:
            axes.plot(published[1], published[0], **_STAR)
        axes.margins(0.09)
        axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
        axes.annotate(
            "better", (0.012, 0.985), (0.062, 0.925), xycoords="axes fraction", color=_unit(style.MUTED),
            fontsize=10, va="center", arrowprops={"arrowstyle": "->", "color": _unit(style.MUTED), "lw": 1.2},
        )  # fmt: skip
        canvas.draw()
        _name(axes, canvas.get_renderer(), points, published)
        figure.legend(
            handles=_legend(points, published is not None), loc="upper left", bbox_to_anchor=(0.014, 0.9),
            ncols=4, frameon=False, fontsize=9.5, handletextpad=0.4, columnspacing=1.8,
        )  # fmt: skip
        figure.savefig(path, dpi=110)


_STAR: Any = {
    "ls": "",
    "marker": "*",
    "ms": 17,
    "color": tuple(c / 255.0 for c in style.BUTTON),
    "mec": "white",
    "mew": 1.0,
    "zorder": 5,
}
_STAR_LABEL = "published (FOSP offline, other data)"


def _draw(axes: Any, point: Point) -> None:
    colour = _unit(point.kind.colour)
    bar: Any = {"color": (*colour, 0.45), "linewidth": 2.2, "solid_capstyle": "butt", "zorder": 2}
    if point.cost_interval is not None:
        axes.plot(point.cost_interval, (point.reward, point.reward), **bar)
    if point.reward_interval is not None:
        axes.plot((point.cost, point.cost), point.reward_interval, **bar)
    axes.plot(
        point.cost, point.reward, point.kind.marker, ms=point.kind.size, color=colour, mec="white", mew=1.0,
        zorder=4,
    )  # fmt: skip


def _name(axes: Any, renderer: Any, points: Sequence[Point], published: Interval | None) -> None:
    """Write every label where it covers least of the others, of the points and of their bars."""
    taken = [box for point in points for box in _boxes(axes, point)]
    if published is not None:
        x, y = axes.transData.transform((published[1], published[0]))
        taken.append(Bbox.from_bounds(x - 11, y - 11, 22, 22))
    frame = axes.get_window_extent(renderer)
    # The most important first: it gets the best place.
    for point in sorted(points, key=lambda p: p.kind is not OURS):
        tried = []
        for place in _PLACES:
            text = _label(axes, point, place)
            box = text.get_window_extent(renderer).padded(1.0)
            text.remove()
            outside = box.width * box.height - _common(box, frame)
            covered = sum(_common(box, other) for other in taken) + 5.0 * outside
            tried.append((covered + 0.4 * (abs(place[0]) + abs(place[1])), place, box))
        _, place, box = min(tried, key=lambda entry: entry[0])
        far = max(map(abs, place)) > 2 * _REACHES[0]
        leader = {"arrowstyle": "-", "lw": 0.8, "color": (*_unit(point.kind.colour), 0.6), "shrinkB": 5}
        text = _label(axes, point, place, leader if far else None)
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
        taken.append(box)


def _label(axes: Any, point: Point, place: tuple[float, float], leader: Any = None) -> Any:
    dx, dy = place
    return axes.annotate(
        point.label, (point.cost, point.reward), place, textcoords="offset points", fontsize=9.5,
        ha="left" if dx > 0 else "right" if dx < 0 else "center",
        va="bottom" if dy > 0 else "top" if dy < 0 else "center",
        color=_unit(point.kind.colour), fontweight="bold" if point.kind is OURS else "normal",
        zorder=6, arrowprops=leader,
    )  # fmt: skip


_REACHES = (7, 15, 26)


_PLACES = [
    (dx * reach, dy * reach)
    for reach in _REACHES
    for dx, dy in ((1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1.4), (0, -1.4), (1.4, 0), (-1.4, 0))
]
"""Offsets of a label from its point, in points; the first of equally good ones is taken."""


def _boxes(axes: Any, point: Point) -> list[Bbox]:
    """What a point and its bars cover, in pixels."""
    x, y = axes.transData.transform((point.cost, point.reward))
    half = 0.9 * point.kind.size
    boxes = [Bbox.from_bounds(x - half, y - half, 2 * half, 2 * half)]
    if point.cost_interval is not None:
        ends = [axes.transData.transform((end, point.reward))[0] for end in point.cost_interval]
        boxes.append(Bbox.from_extents(ends[0], y - 2, ends[1], y + 2))
    if point.reward_interval is not None:
        ends = [axes.transData.transform((point.cost, end))[1] for end in point.reward_interval]
        boxes.append(Bbox.from_extents(x - 2, ends[0], x + 2, ends[1]))
    return boxes


def _common(a: Bbox, b: Bbox) -> float:
    shared = Bbox.intersection(a, b)
    return 0.0 if shared is None else float(shared.width * shared.height)


def _legend(points: Sequence[Point], published: bool) -> list[Line2D]:
    kinds = [kind for kind in (OURS, OTHER_AGENT, PART_OFF) if any(p.kind is kind for p in points)]
    handles = [
        Line2D([], [], lw=2.2, marker=k.marker, ms=k.size, mec="white", color=_unit(k.colour), label=k.label)
        for k in kinds
    ]
    return handles + ([Line2D([], [], **{**_STAR, "ms": 14}, label=_STAR_LABEL)] if published else [])


def _unit(colour: style.RGB) -> tuple[float, float, float]:
    return (colour[0] / 255.0, colour[1] / 255.0, colour[2] / 255.0)
