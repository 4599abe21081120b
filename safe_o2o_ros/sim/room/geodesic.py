"""Length of the shortest free path to a goal, from anywhere in a room."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.sim.room.state import FloatArray

CELL_M = 0.05
_FAR = 1e3
_SWEEPS = 12
"""Relaxations between two looks at whether anything still changes."""
_EXTENSION = 6
"""Cells by which lengths are continued into what is not free: more than a robot can be pressed into it."""


class PathMap:
    """Distances along shortest paths that keep `margin_m` from everything, on a grid.

    Where the goal is in straight sight the length is the straight line, exactly; behind corners it solves
    |grad d| = 1 by upwind differences. It is continuous also where the robot is nearer to things than the
    margin, since a robot that brushes past a chair has a distance to the goal too.
    """

    def __init__(
        self,
        clearance: Callable[[FloatArray], FloatArray],
        half_size: FloatArray,
        goal: FloatArray,
        margin_m: float,
    ) -> None:
        """`clearance`: points (N, 2) -> metres to the nearest thing; `half_size` (2,), `goal` (2,) in m."""
        counts = np.ceil(2 * np.asarray(half_size) / CELL_M).astype(int)
        self._x, self._y = (CELL_M * (np.arange(n) - (n - 1) / 2) for n in counts)
        points = np.stack(np.meshgrid(self._x, self._y), axis=-1)
        free = (clearance(points.reshape(-1, 2)) >= margin_m).reshape(points.shape[:2])
        straight = np.hypot(points[..., 0] - goal[0], points[..., 1] - goal[1])
        length = np.where(free & self._in_sight(free, points, goal), straight, _FAR)
        length = _relaxed(length, free & (length == _FAR), None)
        self._length = _relaxed(length, ~free, _EXTENSION)
        self.connected = free & (length < _FAR)
        """Cells with a free path to the goal, (rows of y, columns of x)."""

    def length(self, point: FloatArray) -> float:
        """Metres from `point` (2,) to the goal's centre, bilinear between cells; inf without a path."""
        column, row = self._index(point[0], self._x), self._index(point[1], self._y)
        c, r = int(column), int(row)
        fc, fr = column - c, row - r
        corners = self._length[r : r + 2, c : c + 2]
        value = (1 - fr) * ((1 - fc) * corners[0, 0] + fc * corners[0, 1]) + fr * (
            (1 - fc) * corners[1, 0] + fc * corners[1, 1]
        )
        return float(value) if corners.max() < _FAR else float("inf")

    @staticmethod
    def _index(value: float, axis: FloatArray) -> float:
        # Half a cell at the rim of the grid continues its last cells.
        return float(np.clip((value - axis[0]) / CELL_M, 0.0, len(axis) - 1.0 - 1e-9))

    def _in_sight(self, free: NDArray[np.bool_], points: FloatArray, goal: FloatArray) -> NDArray[np.bool_]:
        """Cells whose straight line to the goal crosses free cells only."""
        # At most two cells apart: what is not free has no edge sharper than the margin's radius.
        steps = int(np.ceil(np.hypot(self._x[-1], self._y[-1]) / CELL_M))
        share = (np.arange(steps, dtype=np.float32) / steps)[:, None]
        where = points[free].astype(np.float32)
        flat = free.ravel()
        column = (goal[0] + share * (where[:, 0] - goal[0]) - self._x[0]) / CELL_M + 0.5
        row = (goal[1] + share * (where[:, 1] - goal[1]) - self._y[0]) / CELL_M + 0.5
        index = row.astype(np.int32) * free.shape[1] + column.astype(np.int32)
        seen = np.zeros(free.shape, np.bool_)
        seen[free] = flat[index].all(axis=0)
        return seen


def _relaxed(length: FloatArray, change: NDArray[np.bool_], sweeps: int | None) -> FloatArray:
    """Solve |grad| = 1 in the cells of `change`, the others held; until nothing moves, or `sweeps` times."""
    padded = np.pad(length, 1, constant_values=_FAR)
    other = padded.copy()
    # Cells that must not change are bounded to what they are, from both sides.
    low, high = np.where(change, 0.0, length), np.where(change, _FAR, length)
    a, b, t = (np.empty_like(length) for _ in range(3))
    h = CELL_M
    while True:
        for _ in range(_SWEEPS if sweeps is None else sweeps):
            new = other[1:-1, 1:-1]
            np.minimum(padded[1:-1, :-2], padded[1:-1, 2:], out=a)
            np.minimum(padded[:-2, 1:-1], padded[2:, 1:-1], out=b)
            # From two sides (a + b + sqrt(2 h^2 - (a - b)^2)) / 2, from one side min(a, b) + h.
            np.subtract(a, b, out=t)
            np.multiply(t, t, out=t)
            np.subtract(2 * h * h, t, out=t)
            np.maximum(t, h * h, out=t)
            np.sqrt(t, out=t)
            np.add(a, b, out=new)
            np.add(new, t, out=new)
            np.multiply(new, 0.5, out=new)
            np.minimum(a, b, out=t)
            np.add(t, h, out=t)
            np.minimum(new, t, out=new)
            np.clip(new, low, high, out=new)
            padded, other = other, padded
        if sweeps is not None or np.array_equal(padded, other):
            return np.array(padded[1:-1, 1:-1])
