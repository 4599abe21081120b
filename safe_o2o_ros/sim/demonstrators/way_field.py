"""Least time to the goal from everywhere, around what costs: the estimate beyond a plan's horizon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

HALF_M = 2.8
"""Of the square that the field covers about the origin; beyond it the way is taken as free."""
CELL_M = 0.08
_SIDE = int(2 * HALF_M / CELL_M) + 1
_FAR_S = np.float32(1e3)
_SWEEPS, _LOOK = 400, 20
"""Most sweeps, and the sweeps between two looks whether anything still changes."""


@dataclass(frozen=True)
class WayField:
    """Seconds to the goal on a grid."""

    seconds: FloatArray
    """(side, side), first index along x."""
    top_speed: float
    """m/s."""

    def look_up(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Seconds to the goal from world points, and the direction that leads there, rad; bilinear."""
        inner_x, inner_y = np.clip(x, -HALF_M, HALF_M), np.clip(y, -HALF_M, HALF_M)
        px, py = (inner_x + HALF_M) / CELL_M, (inner_y + HALF_M) / CELL_M
        i = np.minimum(px.astype(np.int64), _SIDE - 2)
        j = np.minimum(py.astype(np.int64), _SIDE - 2)
        a, b = px - i, py - j
        t = self.seconds
        t00, t01, t10, t11 = t[i, j], t[i, j + 1], t[i + 1, j], t[i + 1, j + 1]
        low, high = t00 * (1.0 - b) + t01 * b, t10 * (1.0 - b) + t11 * b
        left, right = t00 * (1.0 - a) + t10 * a, t01 * (1.0 - a) + t11 * a
        away = np.hypot(x - inner_x, y - inner_y) / self.top_speed
        seconds = np.asarray(low * (1.0 - a) + high * a + away, np.float32)
        return seconds, np.asarray(np.arctan2(left - right, low - high), np.float32)


def grid_points() -> tuple[FloatArray, FloatArray]:
    """World x and y of the nodes, each (side, side), m."""
    line = (np.arange(_SIDE, dtype=np.float32) * np.float32(CELL_M) - np.float32(HALF_M)).astype(np.float32)
    x, y = np.meshgrid(line, line, indexing="ij")
    return x, y


def way_field(
    slowness: FloatArray, goal: tuple[float, float], goal_radius: float, top_speed: float
) -> WayField:
    """Solve |grad T| = slowness / top_speed outside the goal, T = 0 in it.

    `slowness`: (side, side), 1 where the way is free; `goal` and `goal_radius` in m. All nodes at once,
    upwind differences, until nothing changes.
    """
    x, y = grid_points()
    cost = slowness * np.float32(CELL_M / top_speed)
    distance = np.hypot(x - np.float32(goal[0]), y - np.float32(goal[1]))
    # Nodes about the goal's edge start from the exact distance, so that the edge is no staircase.
    start = np.maximum(distance - np.float32(goal_radius), 0.0) / np.float32(top_speed)
    known = distance < goal_radius + CELL_M
    padded = np.full((_SIDE + 2, _SIDE + 2), _FAR_S, np.float32)
    t = padded[1:-1, 1:-1]
    t[known] = start[known]
    double = np.float32(2.0) * cost * cost
    last = t.copy()
    for sweep in range(_SWEEPS):
        p = np.minimum(padded[:-2, 1:-1], padded[2:, 1:-1])
        q = np.minimum(padded[1:-1, :-2], padded[1:-1, 2:])
        apart = p - q
        root = np.sqrt(np.maximum(double - apart * apart, 0.0))
        both = np.float32(0.5) * (p + q + root)
        np.minimum(t, np.where(np.abs(apart) < cost, both, np.minimum(p, q) + cost), out=t)
        if sweep % _LOOK == _LOOK - 1:
            if np.array_equal(last, t):
                break
            last = t.copy()
    return WayField(t.copy(), top_speed)


class WayFields:
    """Keeps the last field while goal and obstacles stay where they are."""

    def __init__(self, top_speed: float) -> None:
        self._top_speed = top_speed
        self._field: WayField | None = None
        self._slowness = np.ones((_SIDE, _SIDE), np.float32)
        self._obstacles = np.zeros(0)
        self._goal = np.zeros(0)

    def of(
        self,
        goal: NDArray[np.float64],
        goal_radius: float,
        obstacles: NDArray[np.float64],
        slowness: Callable[[FloatArray, FloatArray], FloatArray],
    ) -> WayField:
        """The field for a goal, (2,) m; `slowness` of world points is asked when `obstacles` moved 1 cm."""
        moved = obstacles.shape != self._obstacles.shape or not np.allclose(
            obstacles, self._obstacles, rtol=0.0, atol=0.01
        )
        if moved:
            self._slowness = slowness(*grid_points())
            self._obstacles = obstacles.copy()
        if self._field is None or moved or not np.array_equal(goal, self._goal):
            self._field = way_field(
                self._slowness, (float(goal[0]), float(goal[1])), goal_radius, self._top_speed
            )
            self._goal = goal.copy()
        return self._field
