"""Length of the shortest free path to a goal, from anywhere in a room."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.sim.room.state import FloatArray

CELL_M = 0.05
_FAR = 1e3
_TIGHT_WEIGHT = 3.0
_STILL_M = 1e-5
_SWEEPS = 12
"""Relaxations between two looks at whether anything still changes."""


class PathMap:
    """Distances along shortest paths that keep `margin_m` from everything, on a grid.

    Where the goal is in straight sight the length is the straight line, exactly; behind corners it solves
    |grad d| = 1 by upwind differences (a few per cent too long on the whole). Nearer to things than the
    margin a metre counts as three: a way through a gap the robot just fits through is worth a detour, and
    the length is continuous wherever the robot may get.
    """

    def __init__(
        self,
        clearance: Callable[[FloatArray], FloatArray],
        half_size: FloatArray,
        goal: FloatArray,
        margin_m: float,
        tight_m: float,
    ) -> None:
        """`clearance`: points (N, 2) -> metres to the nearest thing; `half_size` (2,), `goal` (2,) in m.

        `tight_m`: the robot's centre cannot come nearer to things than this.
        """
        counts = np.ceil(2 * np.asarray(half_size) / CELL_M).astype(int)
        self._x, self._y = (CELL_M * (np.arange(n) - (n - 1) / 2) for n in counts)
        points = np.stack(np.meshgrid(self._x, self._y), axis=-1)
        room = clearance(points.reshape(-1, 2)).reshape(points.shape[:2])
        free = room >= margin_m
        straight = np.hypot(points[..., 0] - goal[0], points[..., 1] - goal[1])
        # In float32: twice as fast, and good to a micrometre.
        length = np.where(free & self._in_sight(free, points, goal), straight, _FAR).astype(np.float32)
        step = np.where(free, np.float32(CELL_M), np.float32(CELL_M * _TIGHT_WEIGHT))
        length = _relaxed(length, (room >= tight_m) & (length == _FAR), step)
        self._reached = length < _FAR
        self._length = _nearest(length, self._reached).astype(np.float64)

    def reaches(self, point: FloatArray) -> bool:
        """Whether a path leads from `point` (2,) to the goal, if only a tight one."""
        column, row = (round(self._index(v, axis)) for v, axis in zip(point, (self._x, self._y), strict=True))
        return bool(self._reached[row, column])

    def length(self, point: FloatArray) -> float:
        """Metres from `point` (2,) to the goal's centre, bilinear between cells."""
        column, row = self._index(point[0], self._x), self._index(point[1], self._y)
        c, r = int(column), int(row)
        fc, fr = column - c, row - r
        (a, b), (d, e) = self._length[r : r + 2, c : c + 2]
        return float((1 - fr) * ((1 - fc) * a + fc * b) + fr * ((1 - fc) * d + fc * e))

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


def _relaxed(
    length: NDArray[np.float32], change: NDArray[np.bool_], step: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Solve |grad| = step / cell in the cells of `change`, the others held."""
    padded = np.pad(length, 1, constant_values=_FAR)
    other = padded.copy()
    # Cells that must not change are bounded to what they are, from both sides.
    low = np.where(change, np.float32(0), length)
    high = np.where(change, np.float32(_FAR), length)
    a, b, t = (np.empty_like(length) for _ in range(3))
    square = np.square(step)
    while True:
        for _ in range(_SWEEPS):
            new = other[1:-1, 1:-1]
            np.minimum(padded[1:-1, :-2], padded[1:-1, 2:], out=a)
            np.minimum(padded[:-2, 1:-1], padded[2:, 1:-1], out=b)
            # From two sides (a + b + sqrt(2 step^2 - (a - b)^2)) / 2, from one side min(a, b) + step.
            np.subtract(a, b, out=t)
            np.multiply(t, t, out=t)
            np.subtract(2 * square, t, out=t)
            np.maximum(t, square, out=t)
            np.sqrt(t, out=t)
            np.add(a, b, out=new)
            np.add(new, t, out=new)
            np.multiply(new, 0.5, out=new)
            np.minimum(a, b, out=t)
            np.add(t, step, out=t)
            np.minimum(new, t, out=new)
            np.maximum(new, low, out=new)
            np.minimum(new, high, out=new)
            padded, other = other, padded
        if np.abs(padded - other).max() < _STILL_M:
            return np.array(padded[1:-1, 1:-1])


def _nearest(values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The value of the nearest known cell, for all cells."""
    import cv2

    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_label = np.zeros(labels.max() + 1, np.float32)
    of_label[labels[known]] = values[known]
    return of_label[labels]
