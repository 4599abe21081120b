"""Whether a robot's cameras can see the goal of a room from where it stands."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from safe_o2o_ros.sim.robots import CameraPose
from safe_o2o_ros.sim.room.geometry import Shapes
from safe_o2o_ros.sim.room.state import FloatArray

_ACROSS = np.linspace(-0.95, 0.95, 7)
_UP = np.array([0.05, 0.35, 0.65, 0.95])
"""Where on the goal's outline it is looked for, as shares of its radius and height."""


def goal_in_sight(
    cameras: Iterable[CameraPose],
    shapes: Shapes,
    pose: tuple[float, float, float],
    goal: FloatArray,
    radius_m: float,
    height_m: float,
) -> bool:
    """Whether any camera of a robot at `pose` (x, y, yaw) sees any part of the goal's cylinder."""
    x, y, yaw = pose
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    for camera in cameras:
        eye = np.array([x, y, 0.0]) + turn @ np.asarray(camera.position)
        right, up = (turn @ _unit(camera.xyaxes[i : i + 3]) for i in (0, 3))
        forward = np.cross(up, right)
        points = _outline(eye, goal, radius_m, height_m)
        local = points - eye
        depth = local @ forward
        slope = np.tan(np.radians(camera.fovy_deg) / 2) * depth
        inside = (depth > 0) & (np.abs(local @ right) <= slope) & (np.abs(local @ up) <= slope)
        if inside.any() and not shapes.blocks(eye, points[inside]).all():
            return True
    return False


def _outline(eye: FloatArray, goal: FloatArray, radius_m: float, height_m: float) -> FloatArray:
    """Points (28, 3) on the goal's silhouette as seen from `eye`."""
    dx, dy = goal - eye[:2]
    distance = max(float(np.hypot(dx, dy)), 1e-9)
    across = radius_m * _ACROSS[:, None] * np.array([-dy, dx]) / distance
    points = np.empty((len(_ACROSS), len(_UP), 3))
    points[..., :2] = (goal + across)[:, None]
    points[..., 2] = height_m * _UP
    return points.reshape(-1, 3)


def _unit(vector: tuple[float, ...]) -> FloatArray:
    values = np.asarray(vector, np.float64)
    return values / np.linalg.norm(values)
