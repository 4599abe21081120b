"""Figures of others, to be seen beside ours."""

from __future__ import annotations

PUBLISHED: dict[str, tuple[float, float]] = {
    "PointGoal1": (18.5, 2.0),
    "PointButton1": (13.5, 10.0),
    "CarGoal2": (10.5, 1.0),
    "PointGoal2": (8.0, 3.0),
    "PointPush1": (4.5, 10.0),
}
"""Task -> reward and cost of FOSP's offline agent in 1000 control steps, read off its plots to ±10 %."""
