"""The learned avoid set of DubinsAvoid drawn over the exact one, for some headings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from numpy.typing import NDArray

from safe_o2o_ros.report import style
from safe_o2o_ros.sim.exact.dubins import HALF_WIDTH, HAZARD_RADIUS

_SHOWN = 4
_EXACT, _LEARNED = "#1c2733", "#d55e00"


def write_avoid_set_plot(
    path: Path,
    risk: NDArray[np.float64],
    value: NDArray[np.float64],
    threshold: float,
    result: dict[str, Any],
) -> None:
    """Draw a PNG. `risk` (X, Y, H) of the safest command, NaN where not asked; `value` the exact one, m."""
    side = np.linspace(-HALF_WIDTH, HALF_WIDTH, risk.shape[0])
    with rc_context(style.AXES):
        figure = Figure(figsize=(13.0, 4.3), facecolor="white")
        FigureCanvasAgg(figure)
        title = "DubinsAvoid: from where the disc cannot be avoided any more"
        figure.text(0.055, 0.94, title, fontsize=14, fontweight="bold", va="center")
        text = (
            f"F1 {result['f1']:.4f}; of all states {100 * result['false_safe']:.2f} % wrongly called safe, "
            f"{100 * result['false_unsafe']:.2f} % wrongly unsafe"
        )
        figure.text(0.055, 0.87, text, color="#62707e", va="center")
        panels = figure.subplots(1, _SHOWN, sharey=True)
        figure.subplots_adjust(left=0.055, right=0.99, top=0.8, bottom=0.15, wspace=0.08)
        for k, axes in enumerate(panels):
            index = k * risk.shape[2] // (2 * _SHOWN)
            _draw(axes, side, risk[:, :, index], value[:, :, index], threshold)
            degrees = round(360.0 * index / risk.shape[2])
            axes.set_title(f"heading {degrees}°", fontsize=10)
            _arrow(axes, 2.0 * np.pi * index / risk.shape[2])
        panels[0].set_ylabel("y, m")
        handles = [
            Line2D([], [], color=_EXACT, lw=2.2, label="exact"),
            Line2D([], [], color=_LEARNED, lw=1.6, ls="--", label="learned, from images"),
        ]
        figure.legend(handles=handles, loc="upper right", ncols=2, frameon=False, bbox_to_anchor=(0.99, 0.99))
        figure.savefig(path, dpi=110)


def _draw(axes: Any, side: Any, risk: Any, value: Any, threshold: float) -> None:
    axes.add_patch(Circle((0.0, 0.0), HAZARD_RADIUS, color="#d65a46", alpha=0.25, lw=0))
    axes.contour(side, side, value.T, levels=[0.0], colors=_EXACT, linewidths=2.2)
    if np.isfinite(risk).all():
        # On the logit: a contour between nodes would otherwise follow the squashing.
        level = [float(_logit(threshold))]
        axes.contour(side, side, _logit(risk).T, level, colors=_LEARNED, linewidths=1.6, linestyles="--")
    else:
        known = np.isfinite(risk)
        for called, colour in ((risk > threshold, _LEARNED), (risk <= threshold, "#b6c0ca")):
            x, y = np.nonzero(known & called)
            axes.plot(side[x], side[y], ".", color=colour, ms=3)
    axes.set_aspect("equal")
    axes.set_xlim(-HALF_WIDTH, HALF_WIDTH)
    axes.set_ylim(-HALF_WIDTH, HALF_WIDTH)
    axes.set_xlabel("x, m")


def _logit(risk: Any) -> Any:
    bounded = np.clip(risk, 1e-6, 1.0 - 1e-6)
    return np.log(bounded / (1.0 - bounded))


def _arrow(axes: Any, heading: float) -> None:
    x, y, length = -1.15, -1.15, 0.3
    axes.annotate(
        "",
        xy=(x + length * np.cos(heading), y + length * np.sin(heading)),
        xytext=(x, y),
        arrowprops={"arrowstyle": "-|>", "color": "#28407a", "lw": 2.0},
    )
