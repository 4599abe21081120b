"""rc_car.png: how a network trained on real drives does on drives it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from safe_o2o_ros.report import style

_OURS, _OTHER = "#0072b2", "#9aa5b1"
_RED = "#{:02x}{:02x}{:02x}".format(*style.COST)
_NAMES = {"mean": "mean", "repeat": "last\ncommand", "clone": "clone", "ours": "ours"}
_SHOWN = 400
"""Steps of the steering that are drawn: 20 s."""


class Scores(Protocol):
    """Of one fold (cli/rc_car_numbers.py)."""

    driver: NDArray[np.floating]
    ours: NDArray[np.floating]
    deleted: NDArray[np.bool_]
    labelled: NDArray[np.bool_]
    risk: NDArray[np.floating]
    strip: NDArray[np.uint8]


def write_rc_car_plot(path: Path, result: dict[str, Any], folds: Sequence[Any]) -> None:
    """Draw the result of `bench rc-car` and its `folds` (Scores) into a PNG file."""
    with rc_context(style.AXES):
        figure = Figure(figsize=(11.0, 9.4), facecolor="white")
        FigureCanvasAgg(figure)
        figure.text(0.06, 0.965, "Real drives, held out", fontsize=15, fontweight="bold", va="center")
        below = (
            f"{result['drives']} drives in {len(result['folds'])} folds; bars: 95 %, bootstrap over drives"
        )
        figure.text(0.06, 0.938, below, fontsize=10, color="#4a5562", va="center")
        grid = figure.add_gridspec(
            3,
            3,
            left=0.06,
            right=0.98,
            top=0.89,
            bottom=0.05,
            hspace=0.42,
            wspace=0.3,
            height_ratios=(1, 0.9, 1),
        )
        _draw_errors(figure.add_subplot(grid[0, 0]), result)
        _draw_curve(figure.add_subplot(grid[0, 1]), result, folds)
        _draw_pictures(figure.add_subplot(grid[0, 2]), result)
        longest = max(folds, key=lambda f: len(f.driver))
        _draw_steering(figure.add_subplot(grid[1, :]), longest)
        _draw_strip(figure.add_subplot(grid[2, :]), longest.strip)
        figure.savefig(path, dpi=110)


def _draw_errors(axes: Any, result: dict[str, Any]) -> None:
    steering = result["steering_mae"]
    for x, name in enumerate(_NAMES):
        value, interval = steering[name]["value"], steering[name]["ci95"]
        axes.bar(x, value, color=_OURS if name == "ours" else _OTHER, width=0.65)
        if interval is not None:
            axes.plot((x, x), interval, color="#1c2733", lw=1.4)
    axes.axhline(0.5 * steering["mean"]["value"], color=_RED, lw=1.0, ls="--")
    axes.set_xticks(range(len(_NAMES)), _NAMES.values())
    axes.set_title("steering error (dashed: half the mean's)", fontsize=9.5, loc="left")


def _draw_curve(axes: Any, result: dict[str, Any], folds: Sequence[Scores]) -> None:
    deleted = np.concatenate([f.deleted[f.labelled] for f in folds])
    order = np.argsort(-np.concatenate([f.risk[f.labelled] for f in folds]), kind="stable")
    hit = deleted[order]
    if hit.any() and not hit.all():
        axes.plot(np.cumsum(~hit) / (~hit).sum(), np.cumsum(hit) / hit.sum(), color=_OURS, lw=1.6)
    axes.plot((0, 1), (0, 1), color=_OTHER, lw=0.8)
    area = result["deleted"]["auroc"]["value"]
    axes.set_title(f"frames thrown away: AUROC {area:.3f}", fontsize=9.5, loc="left")
    axes.set_xlabel("of the others, called bad")
    axes.set_ylabel("of them, called bad")


def _draw_pictures(axes: Any, result: dict[str, Any]) -> None:
    bars = (
        ("copy", None, "last frame", _OTHER),
        ("model", "ratio", "world model", _OURS),
        ("carried", "carried_ratio", "and what it cannot draw", "#56b4e9"),
    )
    for x, one in enumerate(result["pictures"].values()):
        for place, (key, ratio, label, colour) in enumerate(bars):
            at = x + 0.27 * (place - 1)
            axes.bar(at, one[key], width=0.25, color=colour, label=None if x else label)
            if ratio is not None:
                text = f"{one[ratio]['value']:.2f}×"
                axes.text(at, one[key], text, ha="center", va="bottom", fontsize=8.5)
    names = [f"{k} step{'s' if int(k) > 1 else ''} ahead" for k in result["pictures"]]
    axes.set_xticks(range(len(names)), names)
    axes.set_title("squared error of the picture", fontsize=9.5, loc="left")
    axes.margins(y=0.42)
    axes.legend(frameon=False, fontsize=8.5, loc="upper left")


def _draw_steering(axes: Any, fold: Scores) -> None:
    # Where the driver steers most there is most to see.
    busy = np.convolve(np.abs(fold.driver), np.ones(_SHOWN), "valid")
    first = int(np.argmax(busy)) if len(busy) else 0
    part = slice(first, first + _SHOWN)
    seconds = 0.05 * np.arange(len(fold.driver[part]))
    axes.plot(seconds, fold.driver[part], color=_OTHER, lw=1.6, label="driver")
    axes.plot(seconds, fold.ours[part], color=_OURS, lw=1.2, label="ours, from the picture")
    bad = fold.deleted[part]
    if bad.any():
        axes.fill_between(seconds, -1.05, 1.05, where=bad, color=_RED, alpha=0.1, label="thrown away")
    axes.set_ylim(-1.05, 1.45)
    axes.set_title("steering, left positive", fontsize=9.5, loc="left")
    axes.set_xlabel("s")
    axes.legend(frameon=False, fontsize=8.5, ncols=3, loc="upper right")


def _draw_strip(axes: Any, strip: NDArray[np.uint8]) -> None:
    """(3, K, H, W, 3) as three rows of pictures."""
    axes.imshow(np.concatenate([np.concatenate(list(row), axis=1) for row in strip], axis=0))
    height = strip.shape[2]
    axes.set_yticks([height * (k + 0.5) for k in range(3)], ["last frame", "5 steps later", "predicted"])
    axes.set_xticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0)
