"""replay.png: what the camera saw, driver against policy, and what the filter would have done, over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
_TITLE: Any = {"loc": "left", "fontsize": 9.5, "color": "#4a5562"}
_PAUSE_S = 0.5
_LEAST_SPAN = 0.004
"""Of the axis of safety values: less is nothing to see."""
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
        end = max([0.0, *course.seconds[-1:].tolist(), *picture_seconds[-1:].tolist()])
        for channel, name in enumerate(channels):
            _draw_commands(axes[channel], course, seconds, channel, name, channels[name], channel == 0)
        value, answers, age = axes[len(channels) :]
        _draw_value(value, course, seconds)
        _draw_answers(answers, course)
        _draw_age(age, course, record["period_ms"])
        for one in axes:
            one.set_xlim(0.0, max(end, 1e-3))
            one.tick_params(labelbottom=one is age, length=0 if one is not age else 3)
        age.set_xlabel("recorded time, s")
        _draw_film(film, pictures, picture_seconds)
        figure.savefig(path, dpi=110)


def _broken(course: Course) -> NDArray[np.float64]:
    """Times, with NaN where lines are not to be joined: after a pause."""
    seconds = course.seconds.copy()
    seconds[1:][np.diff(course.seconds) > _PAUSE_S] = np.nan
    return seconds


def _spans(course: Course, keys: Sequence[str]) -> Iterator[tuple[float, float, str]]:
    """(begin, end, key) of equal neighbours in seconds; none reaches across a pause."""
    seconds = course.seconds
    spacing = np.diff(seconds)
    stretch = np.concatenate([[0], np.cumsum(spacing > _PAUSE_S)])[: len(seconds)]
    usual = float(np.median(spacing)) if len(spacing) else 0.0
    for first, last, (key, number) in style.runs(list(zip(keys, stretch.tolist(), strict=True))):
        joined = last < len(seconds) and stretch[last] == number
        yield float(seconds[first]), float(seconds[last] if joined else seconds[last - 1] + usual), key


def _draw_film(axes: Any, pictures: NDArray[np.uint8], seconds: NDArray[np.float64]) -> None:
    """The pictures in a row, as large as the strip allows."""
    axes.set_axis_off()
    if not len(pictures):
        return
    box = axes.get_window_extent()
    height, width = pictures.shape[1:3]
    room = box.width / box.height
    # So many that fit without being squeezed, evenly over the recording.
    fit = max(1, min(len(pictures), int(room * height / width)))
    chosen = np.linspace(0, len(pictures) - 1, fit).round().astype(int)
    axes.set_xlim(0.0, room)
    axes.set_ylim(0.0, 1.0)
    pitch = room / fit
    for index, number in enumerate(chosen):
        wide = min(width / height, pitch * 0.96)
        left = index * pitch + 0.5 * (pitch - wide)
        high = wide * height / width
        axes.imshow(
            pictures[number],
            extent=(left, left + wide, 0.5 * (1.0 - high), 0.5 * (1.0 + high)),
            interpolation="bicubic",
            aspect="auto",
        )
        text = f"{seconds[number]:.1f} s"
        axes.text(left, 0.5 * (1.0 - high) - 0.03, text, fontsize=8.5, color="#62707e", va="top")
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
        axes.plot(seconds, would, ".", color=_WOULD, ms=3.0, alpha=0.7, label="filter instead", zorder=1)
    axes.axhline(0.0, color="#cfd6dd", lw=0.8, zorder=0)
    axes.margins(y=0.08)
    axes.set_ylabel(f"{name}, {numbers['unit']}")
    axes.grid(axis="y", color=_GRID, lw=0.8)
    difference = numbers.get("mean_absolute_difference")
    text = "no command recorded"
    if difference is not None:
        correlation = numbers["correlation"]
        text = f"mean |policy − driver| {difference:.3f} {numbers['unit']}"
        text += "" if correlation is None else f",  correlation {correlation:.2f}"
    axes.set_title(text, **_TITLE)
    if legend:
        _legend(axes)


def _legend(axes: Any, handles: list[Any] | None = None) -> None:
    """Above the axes, where it hides nothing."""
    shown = axes.get_legend_handles_labels()[0] if handles is None else handles
    if not shown:
        return
    axes.legend(
        handles=shown,
        frameon=False,
        fontsize=9,
        ncols=6,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0.0,
        markerscale=2.5,
    )


def _draw_value(axes: Any, course: Course, seconds: NDArray[np.float64]) -> None:
    levels = [text.partition(":")[0] for text in course.novelty]
    shown = []
    for begin, end, level in _spans(course, levels):
        if level in _LEVELS:
            colour, label = _LEVELS[level]
            axes.axvspan(begin, end, color=colour, lw=0.0)
            shown.append((colour, label))
    axes.plot(seconds, course.value, color=_VALUE, lw=1.4, label="safety value")
    axes.plot(seconds, course.threshold, color=_THRESHOLD, lw=1.1, ls="--", label="threshold")
    costly = course.seconds[course.cost > 0.0]
    if len(costly):
        at = np.full(len(costly), 0.05)
        whole = axes.get_xaxis_transform()
        axes.plot(costly, at, "|", color=_RED, ms=9, label="cost recorded", transform=whole)
    known = np.concatenate([course.value, course.threshold])
    known = known[np.isfinite(known)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    room = max(0.12 * (high - low), _LEAST_SPAN / 2.0)
    axes.set_ylim(low - room, high + room)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_ylabel("safety value")
    axes.grid(axis="y", color=_GRID, lw=0.8)
    handles, _ = axes.get_legend_handles_labels()
    handles += [Patch(color=colour, label=label) for colour, label in dict.fromkeys(shown)]
    _legend(axes, handles)
    axes.set_title("1 − learned risk; a command is certified above the threshold", **_TITLE)


def _draw_answers(axes: Any, course: Course) -> None:
    """A band of what the filter would have answered."""
    bands: dict[str, style.Band] = {}
    for begin, end, reason in _spans(course, course.would):
        band = style.band_of(reason)
        bands.setdefault(band.label, band)
        axes.axvspan(begin, end, color=_colour(band), lw=0.0)
    axes.set_yticks([])
    axes.set_ylim(0.0, 1.0)
    axes.set_ylabel("filter", rotation=0, ha="right", va="center")
    handles = [Patch(color=_colour(b), label=b.label) for b in bands.values()]
    _legend(axes, handles)
    axes.set_title("what it would have answered", **_TITLE)


def _colour(band: style.Band) -> tuple[float, float, float]:
    red, green, blue = band.colour
    return red / 255.0, green / 255.0, blue / 255.0


def _draw_age(axes: Any, course: Course, period_ms: float) -> None:
    axes.plot(course.seconds, course.age_ms, ".", color=_POLICY, ms=2.2)
    known = course.age_ms[np.isfinite(course.age_ms)]
    if len(known):
        for percent, look in ((50, "-"), (99, ":")):
            at = float(np.percentile(known, percent))
            axes.axhline(at, color="#1c2733", lw=0.9, ls=look, label=f"p{percent} {at:.1f} ms")
        # One straggler is not to flatten the rest.
        axes.set_ylim(0.0, max(1.5 * float(np.percentile(known, 99)), 1.0))
    axes.set_ylabel("age, ms")
    axes.grid(axis="y", color=_GRID, lw=0.8)
    axes.set_title(
        f"from image_raw to executed_cmd; the control period is {period_ms:g} ms",
        **_TITLE,
    )
    _legend(axes)
