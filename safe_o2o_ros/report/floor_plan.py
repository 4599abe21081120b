"""The floor plan in plot.png: objects, goals in the order they were reached, and the path driven."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Polygon, Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MultipleLocator

from safe_o2o_ros.report import style
from safe_o2o_ros.report.log import EpisodeLog
from safe_o2o_ros.report.scene import SceneView, goal_ticks, plan_window
from safe_o2o_ros.report.things import goal_places

_MAX_NUMBERS = 3
"""Numbers in a goal that is due several times; more would not fit."""


def draw_floor_plan(axes: Any, log: EpisodeLog, view: SceneView) -> None:
    """World frame, x to the right, metres."""
    x, y, half = plan_window(log, view)
    axes.set(xlim=(x - half, x + half), ylim=(y - half, y + half), aspect="equal", facecolor="#fbfaf5")
    axes.grid(color="#ece9dd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(1.0 if half < 4.0 else 2.0))
    axes.set_xlabel("x, m", labelpad=1)
    axes.set_ylabel("y, m", labelpad=0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(True)
    if view.room_m is not None:
        _draw_walls(axes, view.room_m)
    _draw_goals(axes, log, view)
    _draw_things(axes, log, view)
    if view.robot_radius_m is not None:
        _draw_robot(axes, log, view.robot_radius_m)
    _draw_path(axes, log, half)
    _draw_legend(axes, log, view)
    if np.isfinite(log.value).any():
        _draw_scale(axes)


def _draw_goals(axes: Any, log: EpisodeLog, view: SceneView) -> None:
    colour = _unit(style.GOAL)
    face, edge = (*colour, 0.08), (*colour, 0.9)
    numbers: dict[tuple[float, float], list[str]] = {}
    for number, place in enumerate(goal_places(log.layout), start=1):
        numbers.setdefault(place, []).append(str(number))  # a button may be the goal again
    for (x, y), order in numbers.items():
        radius, half = view.goal_radius_m, view.goal_half_m
        patch: Any = Circle((x, y), radius) if half is None else _square(x, y, half)
        patch.set(facecolor=face, edgecolor=edge, linewidth=1.1)
        axes.add_patch(patch)
        if half is not None:
            # Where it counts is still a disc.
            axes.add_patch(Circle((x, y), radius, fill=False, edgecolor=edge, lw=0.7, ls=(0, (2, 2))))
        halo = [withStroke(linewidth=2.2, foreground="white", alpha=0.8)]
        shown = order if len(order) <= _MAX_NUMBERS else [*order[: _MAX_NUMBERS - 1], "…"]
        axes.text(
            x, y, ", ".join(shown), color="#156b3a", fontsize=8, ha="center", va="center", zorder=6,
            path_effects=halo,
        )  # fmt: skip


def _square(x: float, y: float, half: float) -> Rectangle:
    return Rectangle((x - half, y - half), 2 * half, 2 * half)


def _draw_walls(axes: Any, room: tuple[float, float]) -> None:
    half_x, half_y = room
    corner, width, height = (-half_x, -half_y), 2 * half_x, 2 * half_y
    axes.add_patch(Rectangle(corner, width, height, facecolor="white", edgecolor="none", zorder=0.1))
    # The line lies half outside: its inner edge is all but the wall's face.
    edge = Rectangle(corner, width, height, fill=False, edgecolor=_unit(style.WALL), linewidth=3.0)
    edge.set(joinstyle="miter", path_effects=[withStroke(linewidth=5.0, foreground="white")], zorder=1)
    axes.add_patch(edge)


def _draw_robot(axes: Any, log: EpisodeLog, radius_m: float) -> None:
    """The base in its true size, where it started and where it ended."""
    colour = _unit(style.INK)
    for at in (log.position[0], log.position[-1]):
        axes.add_patch(
            Circle(
                at, radius_m, facecolor=(*colour, 0.06), edgecolor=(*colour, 0.55), linewidth=1.0, zorder=2.5
            )
        )


def _draw_things(axes: Any, log: EpisodeLog, view: SceneView) -> None:
    for thing in view.things(log):
        face, edge = (*_unit(thing.colour), 0.08 if thing.above else 0.38), (*_unit(thing.colour), 1.0)
        if thing.box:
            patch: Any = Polygon(thing.corners())
        else:
            patch = Circle((thing.x, thing.y), thing.half[0])
        patch.set(facecolor=face, edgecolor=edge, linewidth=1.2, zorder=2)
        if thing.above:
            patch.set(linestyle=(0, (3, 2)), linewidth=1.0)
        axes.add_patch(patch)
        if thing.track is not None:
            x, y, radius = thing.track
            axes.add_patch(
                Circle((x, y), radius, fill=False, edgecolor=edge, lw=0.8, ls=(0, (4, 3)), zorder=1.9)
            )


def _draw_path(axes: Any, log: EpisodeLog, half: float) -> None:
    path = log.position
    if len(path) > 1:
        lines = list(np.stack([path[:-1], path[1:]], axis=1))
        axes.add_collection(LineCollection(lines, colors="white", linewidths=4.2, capstyle="round", zorder=3))
        colours = style.value_colours(log.value[:-1]) / 255.0
        axes.add_collection(LineCollection(lines, colors=colours, linewidths=2.2, capstyle="round", zorder=4))
    hit = path[log.cost > 0]
    axes.plot(hit[:, 0], hit[:, 1], "x", ms=5, mew=1.5, color=_unit(style.COST), zorder=5)
    reached = path[np.minimum(goal_ticks(log) + 1, len(path) - 1)]
    axes.plot(
        reached[:, 0], reached[:, 1], "o", ms=5, color=_unit(style.GOAL), mec="white", mew=0.8, zorder=5
    )
    x, y = path[0]
    step = 0.15 * half * np.array([math.cos(log.yaw[0]), math.sin(log.yaw[0])])
    arrow = {"arrowstyle": "-|>", "color": _unit(style.INK), "lw": 2.0, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", xy=(x + step[0], y + step[1]), xytext=(x, y), arrowprops=arrow, zorder=7)
    axes.plot([x], [y], "o", ms=8, color=_unit(style.INK), mec="white", mew=1.2, zorder=7)


def _draw_legend(axes: Any, log: EpisodeLog, view: SceneView) -> None:
    def mark(label: str, colour: style.RGB, marker: str, size: float = 7, alpha: float = 1.0) -> Line2D:
        return Line2D(
            [],
            [],
            linestyle="",
            marker=marker,
            ms=size,
            color=(*_unit(colour), alpha),
            mec=_unit(colour),
            label=label,
        )

    handles = [mark("start", style.INK, "o"), mark("goal", style.GOAL, "o", 8, 0.2)]
    seen = {t.label: t for t in view.things(log)}
    handles += [
        mark(t.label, t.colour, "s" if t.box else "o", 8, 0.08 if t.above else 0.4) for t in seen.values()
    ]
    if (log.cost > 0).any():
        handles.append(mark("cost", style.COST, "x"))
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=len(handles), frameon=False,
        fontsize=8.5, handletextpad=0.1, columnspacing=0.9 if len(handles) < 6 else 0.4, borderaxespad=0.1,
    )  # fmt: skip


def _draw_scale(axes: Any) -> None:
    inset = axes.inset_axes((0.63, 0.045, 0.34, 0.028), zorder=8)
    colours = style.value_colours(np.linspace(0.0, 1.0, 256))
    inset.imshow(colours[None], aspect="auto", extent=(0, 1, 0, 1), cmap=ListedColormap(colours / 255.0))
    inset.set(xticks=(), yticks=())
    for spine in inset.spines.values():
        spine.set(visible=True, color="white", linewidth=1.5)
    white = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.2}
    for place, text, side in ((0.0, "unsafe 0", "left"), (1.0, "1 safe", "right")):
        inset.text(
            place, 1.45, text, fontsize=7.5, ha=side, va="bottom", transform=inset.transAxes, bbox=white
        )


def _unit(colour: style.RGB) -> tuple[float, float, float]:
    return (colour[0] / 255.0, colour[1] / 255.0, colour[2] / 255.0)
