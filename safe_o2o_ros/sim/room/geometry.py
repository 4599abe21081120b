"""Plane geometry of a furnished room: how far points are from things, and what blocks a line of sight."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.sim.room.state import FloatArray, Obstacle

BoolArray = NDArray[np.bool_]


class Shapes:
    """Upright boxes and cylinders as arrays, in the order boxes, then cylinders."""

    def __init__(self, obstacles: Sequence[Obstacle]) -> None:
        """Keep the outlines and heights of `obstacles`."""
        boxes = [o for o in obstacles if o.kind == "box"]
        discs = [o for o in obstacles if o.kind == "cylinder"]
        self._box = np.array([(o.x, o.y, o.half_x, o.half_y) for o in boxes]).reshape(-1, 4)
        yaw = np.array([o.yaw for o in boxes])
        self._cos, self._sin = np.cos(yaw), np.sin(yaw)
        self._disc = np.array([(o.x, o.y, o.half_x) for o in discs]).reshape(-1, 3)
        self._bottom = np.array([o.bottom_m for o in (*boxes, *discs)])
        self._top = np.array([o.height_m for o in (*boxes, *discs)])

    def distance(self, points: FloatArray) -> FloatArray:
        """Signed distance of points (N, 2) to the nearest outline, (N,), m; inf without any."""
        points = np.asarray(points, np.float64)
        out = np.full(len(points), np.inf)
        if len(self._box):
            x, y = self._in_boxes(points)
            dx, dy = np.abs(x) - self._box[:, 2], np.abs(y) - self._box[:, 3]
            outside = np.hypot(np.maximum(dx, 0.0), np.maximum(dy, 0.0))
            out = (outside + np.minimum(np.maximum(dx, dy), 0.0)).min(axis=1)
        if len(self._disc):
            offset = points[:, None, :] - self._disc[:, :2]
            away = np.hypot(offset[..., 0], offset[..., 1]) - self._disc[:, 2]
            out = np.minimum(out, away.min(axis=1))
        return out

    def blocks(self, eye: FloatArray, targets: FloatArray) -> BoolArray:
        """Whether the straight line from `eye` (3,) to each of `targets` (N, 3) meets a shape, (N,)."""
        if not len(self._top):
            return np.zeros(len(targets), np.bool_)
        spans = [self._in_slab(eye[2], targets[:, 2])]
        inside = []
        if len(self._box):
            x0, y0 = self._in_boxes(eye[None, :2])
            x1, y1 = self._in_boxes(targets[:, :2])
            first = _overlap(_slab(x0, x1, -self._box[:, 2], self._box[:, 2]), (0.0, 1.0))
            inside.append(_overlap(_slab(y0, y1, -self._box[:, 3], self._box[:, 3]), first))
        if len(self._disc):
            inside.append(_chord(eye[:2], targets[:, :2], self._disc))
        enter = np.concatenate([s[0] for s in inside], axis=1)
        leave = np.concatenate([s[1] for s in inside], axis=1)
        low, high = _overlap(spans[0], (enter, leave))
        return np.asarray((low <= high).any(axis=1))

    def _in_boxes(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Points (N, 2) in every box's own axes: x (N, B), y (N, B)."""
        dx = points[:, 0, None] - self._box[:, 0]
        dy = points[:, 1, None] - self._box[:, 1]
        return dx * self._cos + dy * self._sin, dy * self._cos - dx * self._sin

    def _in_slab(self, z0: float, z1: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Shares of the line between the heights of each shape, both (N, O)."""
        return _slab(np.full((1, 1), z0), z1[:, None], self._bottom, self._top)


class Footprint:
    """What the robot can hit: solid obstacles and the walls."""

    def __init__(self, obstacles: Sequence[Obstacle], half_size: FloatArray) -> None:
        """`half_size` (2,): inner faces of the walls, m."""
        self._solid = Shapes([o for o in obstacles if o.solid])
        self._half = np.asarray(half_size, np.float64)

    def distance(self, points: FloatArray) -> FloatArray:
        """Signed distance of points (N, 2) to the nearest solid thing, (N,), m."""
        walls = (self._half - np.abs(points)).min(axis=1)
        return np.minimum(walls, self._solid.distance(points))


def _slab(a: FloatArray, b: FloatArray, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shares t of a + t (b - a) between `low` and `high`; an empty interval has its ends reversed."""
    step = b - a
    # A line along the slab is inside all the way or never; a tiny step gives just that.
    step = np.where(np.abs(step) < 1e-12, 1e-12, step)
    one, two = (low - a) / step, (high - a) / step
    return np.minimum(one, two), np.maximum(one, two)


def _overlap(
    a: tuple[FloatArray, FloatArray], b: tuple[FloatArray | float, FloatArray | float]
) -> tuple[FloatArray, FloatArray]:
    return np.maximum(a[0], b[0]), np.minimum(a[1], b[1])


def _chord(eye: FloatArray, targets: FloatArray, discs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shares of each line inside each disc (x, y, radius), both (N, D), cut to the line's ends."""
    along = targets - eye
    offset = eye - discs[:, :2]
    a = np.maximum(np.square(along).sum(axis=1), 1e-12)[:, None]
    b = along @ offset.T
    c = np.square(offset).sum(axis=1) - np.square(discs[:, 2])
    root = np.square(b) - a * c
    half = np.sqrt(np.maximum(root, 0.0))
    enter, leave = np.maximum((-b - half) / a, 0.0), np.minimum((-b + half) / a, 1.0)
    return np.where(root >= 0.0, enter, 1.0), np.where(root >= 0.0, leave, 0.0)
