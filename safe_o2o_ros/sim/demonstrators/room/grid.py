"""A room on a grid: exact clearances, and the cheapest way to a point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.sim.room.geometry import Footprint
from safe_o2o_ros.sim.room.state import FloatArray, Obstacle

CELL_M = 0.05
_NEIGHBOURS = tuple((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0))


@dataclass(frozen=True)
class Caution:
    """How a way keeps away from things; distances from the robot's centre to them, metres."""

    closed_m: float
    """Nearer than this there is no way."""
    tight_m: float
    """Nearer than this only where there is no other way."""
    wide_m: float
    """Farther than this costs nothing extra."""
    weight: float
    """Extra cost of a metre at `tight_m`, in metres; falls to 0 at `wide_m`."""


class RoomMap:
    """Nodes `CELL_M` apart that cover the room; arrays are indexed [ix, iy]."""

    def __init__(self, half_size: FloatArray, obstacles: Sequence[Obstacle]) -> None:
        """`half_size`: half the room's inner lengths along x and y, shape (2,), m."""
        self._half = np.asarray(half_size, np.float64)
        self._footprint = Footprint(obstacles, self._half)
        self.shape = tuple(int(n) for n in np.ceil(2.0 * self._half / CELL_M) + 1)
        self.nodes = np.stack(
            np.meshgrid(*(np.arange(n) * CELL_M - h for n, h in zip(self.shape, self._half, strict=True)),
                        indexing="ij"),
            axis=-1,
        )  # fmt: skip
        """World position of each node, (nx, ny, 2), m."""
        self.clearance = self.distance(self.nodes)
        """From each node to the nearest wall or solid thing, (nx, ny), m; negative inside."""

    def distance(self, points: FloatArray) -> FloatArray:
        """Exact distance from points, (..., 2), to the nearest wall or solid thing, (...), m."""
        flat = np.asarray(points, np.float64).reshape(-1, 2)
        return self._footprint.distance(flat).reshape(points.shape[:-1])

    def lookup(self, points: FloatArray) -> FloatArray:
        """Clearance at points, (..., 2), interpolated from the nodes, (...), m; at most 1 cm off."""
        cells = (points + self._half) / CELL_M
        last = np.array(self.shape) - 2
        corner = np.clip(np.floor(cells), 0, last).astype(np.intp)
        fx, fy = np.moveaxis(cells - corner, -1, 0)
        ix, iy = corner[..., 0], corner[..., 1]
        c = self.clearance
        low = (1 - fx) * c[ix, iy] + fx * c[ix + 1, iy]
        high = (1 - fx) * c[ix, iy + 1] + fx * c[ix + 1, iy + 1]
        return np.asarray((1 - fy) * low + fy * high)

    def node_of(self, point: FloatArray) -> tuple[int, int]:
        """Indices of the node nearest to a point, (2,)."""
        ix, iy = np.rint((point + self._half) / CELL_M).astype(int).tolist()
        return min(max(ix, 0), self.shape[0] - 1), min(max(iy, 0), self.shape[1] - 1)


class Way:
    """The cheapest ways from everywhere to one point."""

    def __init__(self, room: RoomMap, target: FloatArray, caution: Caution) -> None:
        """`target`: (2,), m. It may stand in closed cells, as the goal does near a wall."""
        self._room = room
        self.target = np.asarray(target, np.float64)
        weight = _weights(room.clearance, caution)
        start = room.node_of(self.target)
        around = np.hypot(*np.moveaxis(room.nodes - self.target, -1, 0))
        weight = np.where(around <= 0.2, np.minimum(weight, 1.0 + caution.weight), weight)
        self.cost, self._next = _settle(weight, start)
        """Cost from each node, (nx, ny), in metres of open floor; inf where there is no way."""

    def trace(self, point: FloatArray, length_m: float) -> FloatArray:
        """Nodes of the way from a point on, (n, 2), m; n = 0 where there is no way."""
        ix, iy = self._open_node(point)
        cost, following = self.cost, self._next
        nodes: list[tuple[int, int]] = []
        left = length_m
        while left > 0.0 and np.isfinite(cost[ix, iy]):
            nodes.append((ix, iy))
            step = int(following[ix, iy])
            if step < 0:
                break
            dx, dy = _NEIGHBOURS[step]
            ix, iy = ix + dx, iy + dy
            left -= CELL_M * (1.4142 if dx and dy else 1.0)
        return np.array([self._room.nodes[n] for n in nodes], np.float64).reshape(-1, 2)

    def _open_node(self, point: FloatArray) -> tuple[int, int]:
        """The nearest node with a way: a robot pushed against something stands in a closed cell."""
        ix, iy = self._room.node_of(point)
        if np.isfinite(self.cost[ix, iy]):
            return ix, iy
        gap = np.sum(np.square(self._room.nodes - point), axis=-1)
        best = int(np.argmin(np.where(np.isfinite(self.cost), gap, np.inf)))
        return best // self._room.shape[1], best % self._room.shape[1]


def _weights(clearance: FloatArray, caution: Caution) -> FloatArray:
    """Cost of a metre at each node; inf where closed."""
    near = np.clip((caution.wide_m - clearance) / (caution.wide_m - caution.tight_m), 0.0, 1.0)
    weight = 1.0 + caution.weight * near**2
    weight = np.where(clearance < caution.tight_m, weight + 20.0, weight)
    return np.where(clearance < caution.closed_m, np.inf, weight)


def _settle(weight: FloatArray, start: tuple[int, int]) -> tuple[FloatArray, NDArray[np.int8]]:
    """Costs to `start` and the neighbour each node goes to (-1: none), by rounds of relaxation."""
    nx, ny = weight.shape
    padded = np.full((nx + 2, ny + 2), np.inf, np.float32)
    padded[1:-1, 1:-1] = weight
    cost = np.full_like(padded, np.inf)
    cost[start[0] + 1, start[1] + 1] = 0.0
    inner = cost[1:-1, 1:-1]
    views, edges = [], []
    for dx, dy in _NEIGHBOURS:
        window = (slice(1 + dx, nx + 1 + dx), slice(1 + dy, ny + 1 + dy))
        length = np.float32(0.5 * CELL_M * np.hypot(dx, dy))
        views.append(cost[window])
        edges.append(length * (padded[1:-1, 1:-1] + padded[window]))
    fresh = np.empty_like(inner)
    while True:
        before = inner.copy()
        for _ in range(8):
            for view, edge in zip(views, edges, strict=True):
                np.add(view, edge, out=fresh)
                np.minimum(inner, fresh, out=inner)
        if np.array_equal(before, inner):
            break
    through = np.stack([view + edge for view, edge in zip(views, edges, strict=True)])
    following = np.argmin(through, axis=0).astype(np.int8)
    following[~np.isfinite(inner)] = -1
    following[start] = -1
    return np.asarray(inner, np.float64), following
