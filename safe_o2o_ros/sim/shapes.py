"""Outlines of objects on the floor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.sim.objects import ObjectKind

FloatArray = NDArray[np.float64]


def covers(kind: ObjectKind, offsets: FloatArray, yaws: FloatArray) -> NDArray[np.bool_]:
    """Whether points at `offsets` (n, 2) m from objects of a kind with headings `yaws` (n,) are inside, (n,).

    Points on an edge are outside.
    """
    if kind.shape != "box":
        return np.asarray(np.square(offsets).sum(axis=1) < kind.size[0] ** 2)
    cos, sin = np.cos(yaws), np.sin(yaws)
    along = offsets[:, 0] * cos + offsets[:, 1] * sin
    across = offsets[:, 1] * cos - offsets[:, 0] * sin
    return np.asarray((np.abs(along) < kind.size[0]) & (np.abs(across) < kind.size[1]))


def outer_radius(kind: ObjectKind) -> float:
    """Radius of the smallest disc around the outline, m."""
    return float(np.hypot(kind.size[0], kind.size[1])) if kind.shape == "box" else float(kind.size[0])
