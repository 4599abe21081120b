"""What a camera at the robot's height sees of a room."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.sim.robots import CameraPose
from safe_o2o_ros.sim.room.geometry import Shapes
from safe_o2o_ros.sim.room.state import FloatArray, RoomState

HALF_VIEW_RAD = np.radians(43.0)
"""Half the horizontal field of view, less a strip in which too little of a thing is seen."""
_FRONT_AND_BACK = (0.0, np.pi)
"""Directions of the task's cameras, for an environment that renders none; rad."""
CAMERA_HEIGHT_M = 0.25
GOAL_RADIUS_M = 0.15
HIDING_M = 0.35
"""A thing of this height hides most of the goal, wherever it stands between goal and camera."""
_HEIGHTS_M = (0.15, 0.4)
"""Heights at which the goal is looked for; its top is at 0.5 m."""
_ENOUGH = 2
"""Of the places looked at, so many must be in sight."""
_EDGE = 0.7
"""Where a goal's sides are looked at, as a share of its radius."""


def looking(camera: CameraPose) -> float:
    """Direction a camera looks in, rad about the base's z axis."""
    right, up = np.array(camera.xyaxes[:3]), np.array(camera.xyaxes[3:])
    ahead = np.cross(up, right)
    return float(np.arctan2(ahead[1], ahead[0]))


def in_view(state: RoomState, points: FloatArray) -> NDArray[np.bool_]:
    """Which points, (n, 2), lie in any camera's field of view, (n,), were nothing in between.

    Where the environment renders no cameras, those of the task.
    """
    offset = points - state.position
    bearing = np.arctan2(offset[:, 1], offset[:, 0]) - state.yaw
    seen = np.zeros(len(points), np.bool_)
    for direction in [looking(c) for c in state.cameras.values()] or _FRONT_AND_BACK:
        seen |= np.abs(wrapped(bearing - direction)) <= HALF_VIEW_RAD
    return seen


def goal_in_sight(state: RoomState) -> bool:
    """Whether more than a sliver of the goal is in a camera's view and not hidden."""
    offset = state.goal - state.position
    side = np.array([-offset[1], offset[0]]) / max(float(np.hypot(*offset)), 1e-6) * (_EDGE * GOAL_RADIUS_M)
    across = np.stack([state.goal - side, state.goal, state.goal + side])
    across = across[in_view(state, across)]
    if not len(across):
        return False
    points = np.concatenate([np.column_stack([across, np.full(len(across), z)]) for z in _HEIGHTS_M])
    hidden = Shapes(state.obstacles).blocks(np.array([*state.position, CAMERA_HEIGHT_M]), points)
    return int(np.count_nonzero(~hidden)) >= _ENOUGH


def wrapped(angle: FloatArray) -> FloatArray:
    """The same angle in [-pi, pi)."""
    return np.asarray((angle + np.pi) % (2.0 * np.pi) - np.pi)
