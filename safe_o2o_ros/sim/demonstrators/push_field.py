"""Length of the shortest way to a point over a floor on which some places are dear."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

CELL_M = 0.1
_HALF_M = 3.2
"""Half the side of the floor, metres: nothing stops a box at the edge of where things are placed."""
_SIDE = round(2.0 * _HALF_M / CELL_M) + 1
_AXIS = np.linspace(-_HALF_M, _HALF_M, _SIDE, dtype=np.float32)
NODES = np.stack(np.meshgrid(_AXIS, _AXIS, indexing="ij"), axis=-1)
"""World positions of the nodes, (n, n, 2), m."""
_EXACT_M = 0.35
"""So near to its target a field is the distance itself: the sums start on a circle, not on a node."""
_ROUNDS = 20


class WayField:
    """Solves |grad D| = weight with D = 0 at the target: D is a length in metres of plain floor."""

    def __init__(self, target: FloatArray, weight: FloatArray) -> None:
        """`target` (2,) m; `weight` (n, n) >= 1: metres of plain floor that a metre at a node is worth."""
        away = np.hypot(*np.moveaxis(NODES - np.asarray(target, np.float32), -1, 0))
        known = away <= max(_EXACT_M, float(away.min()))
        self._cost = _settle(np.where(known, away, np.float32(np.inf)), known, weight)
        self._slope = np.gradient(self._cost, CELL_M)

    def length(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """D at points of equal shapes, m; interpolated between nodes."""
        return _between(self._cost, *_cells(x, y))

    def direction(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Angle at which the way leads on from points of equal shapes, rad."""
        cells = _cells(x, y)
        return np.asarray(
            np.arctan2(-_between(self._slope[1], *cells), -_between(self._slope[0], *cells)), np.float32
        )


def _settle(cost: FloatArray, known: NDArray[np.bool_], weight: FloatArray) -> FloatArray:
    """First-order upwind solution by relaxing all nodes at once until nothing changes."""
    padded = np.full((_SIDE + 2, _SIDE + 2), np.float32(1e6), np.float32)
    inner = padded[1:-1, 1:-1]
    inner[...] = np.minimum(cost, np.float32(1e6))
    step = (weight * np.float32(CELL_M)).astype(np.float32)
    step2 = 2.0 * step * step
    while True:
        before = inner.copy()
        for _ in range(_ROUNDS):
            a = np.minimum(padded[:-2, 1:-1], padded[2:, 1:-1])
            b = np.minimum(padded[1:-1, :-2], padded[1:-1, 2:])
            apart = a - b
            both = 0.5 * (a + b + np.sqrt(np.maximum(step2 - apart * apart, 0.0)))
            one = np.minimum(a, b) + step
            fresh = np.where(np.abs(apart) < step, both, one)
            np.copyto(inner, np.minimum(inner, fresh), where=~known)
        if np.array_equal(before, inner):
            return inner.copy()


def _cells(x: FloatArray, y: FloatArray) -> tuple[NDArray[np.intp], NDArray[np.intp], FloatArray, FloatArray]:
    """Lower node and place between nodes of points; those off the floor count as at its edge."""
    cx = np.clip((x + _HALF_M) / CELL_M, 0.0, _SIDE - 1.001).astype(np.float32)
    cy = np.clip((y + _HALF_M) / CELL_M, 0.0, _SIDE - 1.001).astype(np.float32)
    ix, iy = cx.astype(np.intp), cy.astype(np.intp)
    return ix, iy, cx - ix, cy - iy


def _between(
    grid: FloatArray, ix: NDArray[np.intp], iy: NDArray[np.intp], fx: FloatArray, fy: FloatArray
) -> FloatArray:
    low = (1 - fx) * grid[ix, iy] + fx * grid[ix + 1, iy]
    high = (1 - fx) * grid[ix, iy + 1] + fx * grid[ix + 1, iy + 1]
    return np.asarray((1 - fy) * low + fy * high, np.float32)
