"""replay.png: what the camera saw, driver against policy, and what the filter would have done, over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from safe_o2o_ros.report import style
from safe_o2o_ros.report.replay_numbers import Course

_POLICY, _DRIVER, _WOULD = "#0072b2", "#8a96a3", "#f59e1f"
_RED = "#{:02x}{:02x}{:02x}".format(*style.COST)
_VALUE, _THRESHOLD = "#3c0a78", "#c8321e"
_GRID = "#eef1f4"
_LEFT, _RIGHT = 0.075, 0.985
_LEVELS = {"caution": ("#fbe3b8", "novelty: caution"), "stop": ("#f4b6ae", "novelty: stop")}


def write_replay_plot(
    path: Path,
    record: dict[str, Any],
    course: Course,
    pictures: NDArray[np.uint8],
    picture_seconds: NDArray[np.float64],
) -> None:
    """Draw a replay into a PNG file.

    `record`: of cli/replay.py. `pictures`: (k, h, w, 3) uint8 RGB of the first camera, taken at
    `picture_seconds` (k,) of recorded time.
    """
    channels = (record["driver"] or record)["channels"]
    heights = [1.0, *(1.25 for _ in channels), 1.15, 0.16, 0.62]
    with rc_context(style.AXES):
        figure = Figure(figsize=(12.0, 1.6 + 1.75 * sum(heights)), facecolor="white")
        FigureCanvasAgg(figure)
        inches = figure.get_size_inches()[1]
        figure.text(_LEFT, 1.0 - 0.32 / inches, record["title"], fontsize=16, fontweight="bold", va="center")
        figure.text(_LEFT, 1.0 - 0.62 / inches, record["subtitle"], fontsize=10, color="#4a5562", va="center")
        grid = figure.add_gridspec(
            len(heights),
            1,
            left=_LEFT,
            right=_RIGHT,
            top=1.0 - 0.85 / inches,
            bottom=0.5 / inches,
            hspace=0.34,
            height_ratios=heights,
        )
        film = figure.add_subplot(grid[0])
        axes = [figure.add_subplot(grid[row]) for row in range(1, len(heights))]
        seconds = _broken(course)
        end = float(max(course.seconds.max(), picture_seconds.max()) if len(picture_seconds) else 1.0)
        for channel, name in enumerate(channels):
            _draw_commands(axes[channel], course, seconds, channel, name, channels[name], channel == 0)
        value, answers, age = axes[len(channels) :]
        _draw_value(value, course, seconds, end)
        _draw_answers(answers, course)
        _draw_age(age, course, record["period_ms"])
        for one in axes:
            one.set_xlim(0.0, max(end, 1e-3))
            one.tick_params(labelbottom=one is age, length=0 if one is not age else 3)
        age.set_xlabel("recorded time, s")
        _draw_film(film, pictures)
        figure.savefig(path, dpi=110)


def _broken(course: Course) -> NDArray[np.float64]:
    """Times, with NaN where lines are not to be joined: after a second without an answer."""
    seconds = course.seconds.copy()
    seconds[1:][np.diff(course.seconds) > 1.0] = np.nan
    return seconds


def _draw_film(axes: Any, pictures: NDArray[np.uint8]) -> None:
    """The pictures in a row, as large as the strip allows."""
    axes.set_axis_off()
    if not len(pictures):
        return
    box = axes.get_window_extent()
    height, width = pictures.shape[1:3]
    room = box.width / box.height
    # So many that fit without being squeezed, evenly over the recording.
    fit = max(1, min(len(pictures), int(room * height / width)))
    chosen = pictures[np.linspace(0, len(pictures) - 1, fit).round().astype(int)]
    axes.set_xlim(0.0, room)
    axes.set_ylim(0.0, 1.0)
    pitch = room / fit
    for index, picture in enumerate(chosen):
        wide = min(width / height, pitch * 0.96)
        left = index * pitch + 0.5 * (pitch - wide)
        high = wide * height / width
        axes.imshow(
            picture,
            extent=(left, left + wide, 0.5 * (1.0 - high), 0.5 * (1.0 + high)),
            interpolation="bicubic",
            aspect="auto",
        )
    axes.set_xlim(0.0, room)
    axes.set_ylim(0.0, 1.0)


def _draw_commands(
    axes: Any,
    course: Course,
    seconds: NDArray[np.float64],
    channel: int,
    name: str,
    numbers: dict[str, Any],
    legend: bool,
) -> None:
    driver, policy = course.driver[:, channel], course.policy[:, channel]
    axes.fill_between(seconds, driver, policy, color=_POLICY, alpha=0.1, lw=0.0)
    axes.plot(seconds, driver, color=_DRIVER, lw=2.0, label="driver (recorded)")
    axes.plot(seconds, policy, color=_POLICY, lw=1.2, label="policy")
    asked = np.array([style.band_of(r) is style.PASS for r in course.would], np.bool_)
    would = np.where(asked, np.nan, course.would_action[:, channel])
    if np.isfinite(would).any():
        axes.plot(seconds, would, ".", color=_WOULD, ms=2.6, label="filter instead")
    axes.axhline(0.0, color="#cfd6dd", lw=0.8, zorder=0)
    low, high = np.nanmin([driver, policy]) if len(policy) else 0.0, 0.0
    if len(policy):
        high = float(np.nanmax([driver, policy]))
    margin = max(0.08 * (high - low), 1e-3)
    axes.set_ylim(low - margin, high + (4.2 if legend else 2.6) * margin)
    axes.set_ylabel(f"{name}, {numbers['unit']}")
    axes.grid(axis="y", color=_GRID, lw=0.8)
    difference = numbers.get("mean_absolute_difference")
    if difference is not None:
        correlation = numbers["correlation"]
        text = f"mean |policy − driver| {difference:.3f} {numbers['unit']}"
        text += "" if correlation is None else f"   correlation {correlation:.2f}"
        axes.text(0.006, 0.965, text, transform=axes.transAxes, fontsize=9, color="#4a5562", va="top")
    if legend:
        axes.legend(frameon=False, fontsize=9, ncols=3, loc="upper right", borderaxespad=0.1, markerscale=3)


def _draw_value(axes: Any, course: Course, seconds: NDArray[np.float64], end: float) -> None:
    levels = [text.partition(":")[0] for text in course.novelty]
    shown = []
    for first, last, level in style.runs(levels):
        if level in _LEVELS:
            colour, label = _LEVELS[level]
            until = course.seconds[last] if last < len(levels) else end
            axes.axvspan(course.seconds[first], until, color=colour, lw=0.0)
            shown.append((colour, label))
    axes.plot(seconds, course.value, color=_VALUE, lw=1.4, label="safety value")
    axes.plot(seconds, course.threshold, color=_THRESHOLD, lw=1.1, ls="--", label="threshold")
    costly = course.seconds[course.cost > 0.0]
    if len(costly):
        axes.plot(
            costly, np.full(len(costly), 0.02), "|", color=_RED, ms=9, label="cost recorded", clip_on=False
        )
    axes.set_ylim(0.0, 1.28)
    axes.set_yticks([0.0, 0.5, 1.0])
    axes.set_ylabel("safety value")
    axes.grid(axis="y", color=_GRID, lw=0.8)
    handles, _ = axes.get_legend_handles_labels()
    handles += [Patch(color=colour, label=label) for colour, label in dict.fromkeys(shown)]
    axes.legend(handles=handles, frameon=False, fontsize=9, ncols=5, loc="upper right", borderaxespad=0.1)


def _draw_answers(axes: Any, course: Course) -> None:
    """A band of what the filter would have answered."""
    bands: dict[str, style.Band] = {}
    edges = [*course.seconds.tolist(), float(course.seconds[-1])] if len(course.seconds) else [0.0]
    for first, last, reason in style.runs(course.would):
        band = style.band_of(reason)
        bands.setdefault(band.label, band)
        axes.axvspan(edges[first], edges[last], color=np.array(band.colour) / 255.0, lw=0.0)
    axes.set_yticks([])
    axes.set_ylim(0.0, 1.0)
    axes.set_ylabel("filter", rotation=0, ha="right", va="center")
    handles = [Patch(color=np.array(b.colour) / 255.0, label=b.label) for b in bands.values()]
    axes.legend(
        handles=handles,
        frameon=False,
        fontsize=9,
        ncols=6,
        loc="lower right",
        bbox_to_anchor=(1.0, 0.92),
        borderaxespad=0.1,
    )


def _draw_age(axes: Any, course: Course, period_ms: float) -> None:
    axes.plot(course.seconds, course.age_ms, ".", color=_POLICY, ms=2.2)
    known = course.age_ms[np.isfinite(course.age_ms)]
    if len(known):
        for percent, look in ((50, "-"), (99, ":")):
            at = float(np.percentile(known, percent))
            axes.axhline(at, color="#1c2733", lw=0.9, ls=look, label=f"p{percent} {at:.1f} ms")
        # One straggler is not to flatten the rest.
        axes.set_ylim(0.0, max(1.9 * float(np.percentile(known, 99)), 1.0))
    axes.set_ylabel("age of the\nanswer, ms")
    axes.grid(axis="y", color=_GRID, lw=0.8)
    axes.plot([], [], " ", label=f"(control period {period_ms:g} ms)")
    axes.legend(frameon=False, fontsize=9, ncols=3, loc="upper right", borderaxespad=0.1)
