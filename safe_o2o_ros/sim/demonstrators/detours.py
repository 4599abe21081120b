"""Shortest ways to a goal around standing discs: what is left beyond a plan's end, and where to head then."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

_CELL_M = 0.1
_EXTENT_M = 2.6
"""The table of next corners covers [-extent, extent]^2; outside, that of the nearest cell holds."""
_CORNERS = 8
"""Corners around a disc at which a way may bend."""
_ROOM = 1.02
"""Distance of the sides between corners from the disc's centre, in radii."""
_NO_WAY_M = 3.0
"""Added to the straight distance where no way is found."""


class Detours:
    """Ways around discs with centres (n, 2) and radii (n,), m, world frame; then `aim` at a goal."""

    def __init__(self, centres: NDArray[np.float64], radii: NDArray[np.float64]) -> None:
        """Find the corners, and from where they are seen: about 20 ms for 20 discs."""
        self._centres, self._radii = centres.astype(np.float32), radii.astype(np.float32)
        angles = 2.0 * np.pi * np.arange(_CORNERS) / _CORNERS
        ring = np.stack([np.cos(angles), np.sin(angles)], axis=1) * _ROOM / np.cos(np.pi / _CORNERS)
        corners = (centres[:, None] + radii[:, None, None] * ring).reshape(-1, 2).astype(np.float32)
        apart = np.hypot(*(corners[:, None] - self._centres).transpose(2, 0, 1))
        self._corners = corners[(apart > self._radii).all(axis=1)]
        self._side = int(2 * _EXTENT_M / _CELL_M)
        middles = (np.arange(self._side, dtype=np.float32) + 0.5) * _CELL_M - _EXTENT_M
        self._cells = np.stack(np.meshgrid(middles, middles, indexing="ij"), axis=-1).reshape(-1, 2)
        self._from_cells = self._lengths(self._cells, self._corners)
        self._between = self._lengths(self._corners, self._corners)

    def aim(self, goal: NDArray[np.float64]) -> None:
        """Find the shortest way to `goal` (2,) from everywhere."""
        end = goal.astype(np.float32)[None]
        left = self._lengths(self._corners, end)[:, 0]
        done = np.zeros(len(left), bool)
        for _ in range(len(left)):
            nearest = int(np.argmin(np.where(done, np.inf, left)))
            if not np.isfinite(left[nearest]):
                break
            done[nearest] = True
            np.minimum(left, left[nearest] + self._between[:, nearest], out=left)
        straight = self._lengths(self._cells, end)
        # In full view of the goal no detour is shorter; elsewhere this is the last resort.
        seen = np.isfinite(straight[:, 0])
        hidden = np.hypot(*(self._cells - end).T) + np.float32(_NO_WAY_M)
        straight[:, 0] = np.where(seen, straight[:, 0], hidden)
        ways = np.concatenate([straight, self._from_cells + left], axis=1)
        self._next = np.argmin(ways, axis=1)
        self._lost = np.asarray((self._next == 0) & ~seen)
        self._points = np.concatenate([end, self._corners])
        self._left = np.concatenate([np.zeros(1, np.float32), left])

    def onward(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """For places (K,) in the world, m: x and y of the next corner or goal, and the way on from it, m."""
        index = self._next[self._cell(x, y)]
        point = self._points[index]
        return point[:, 0], point[:, 1], self._left[index]

    def leads(self, place: NDArray[np.float64]) -> bool:
        """Whether there is a way from a place (2,) in the world, m."""
        x, y = place.astype(np.float32)
        return not self._lost[self._cell(x, y)]

    def _cell(self, x: FloatArray, y: FloatArray) -> NDArray[np.int64]:
        """Row of the table for places (K,)."""
        row, column = (
            np.clip(((v + np.float32(_EXTENT_M)) / np.float32(_CELL_M)).astype(np.int64), 0, self._side - 1)
            for v in (x, y)
        )
        return np.asarray(row * self._side + column)

    def _lengths(self, starts: FloatArray, ends: FloatArray) -> FloatArray:
        """Distances (S, E) along straight lines; inf where a disc is in between.

        A line that starts inside a disc may leave it, but not go deeper.
        """
        px, py = starts[:, :1], starts[:, 1:]
        dx, dy = ends[:, 0] - px, ends[:, 1] - py
        length = np.hypot(dx, dy)
        dx, dy = dx / np.maximum(length, np.float32(1e-6)), dy / np.maximum(length, np.float32(1e-6))
        blocked = np.zeros(length.shape, bool)
        for (cx, cy), radius in zip(self._centres, self._radii, strict=True):
            ox, oy = cx - px, cy - py
            along = np.clip(ox * dx + oy * dy, 0.0, length)
            near2 = np.square(ox - along * dx) + np.square(oy - along * dy)
            allowed = np.minimum(radius, np.float32(0.98) * np.hypot(ox, oy))
            blocked |= near2 < np.square(allowed)
        length[blocked] = np.inf
        return length
