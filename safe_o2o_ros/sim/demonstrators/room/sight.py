"""What a camera at the robot's height sees of a room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.sim.demonstrators.room.grid import distance_to

if TYPE_CHECKING:
    from safe_o2o_ros.sim.robots import CameraPose
    from safe_o2o_ros.sim.room.state import Obstacle, RoomState

FloatArray = NDArray[np.float64]

HALF_VIEW_RAD = np.radians(43.0)
"""Half the horizontal field of view, less a strip in which too little of a thing is seen."""
_FRONT_AND_BACK = (0.0, np.pi)
"""Directions of the task's cameras, for an environment that renders none; rad."""
CAMERA_HEIGHT_M = 0.25
GOAL_RADIUS_M = 0.15
GOAL_HEIGHT_M = 0.3
"""A height at which the goal is looked for; it is taller."""
_STEP_M = 0.05
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
    """Whether most of the goal is in a camera's view and not hidden."""
    offset = state.goal - state.position
    range_m = float(np.hypot(*offset))
    side = np.array([-offset[1], offset[0]]) / max(range_m, 1e-6) * (_EDGE * GOAL_RADIUS_M)
    points = np.stack([state.goal - side, state.goal, state.goal + side])
    if not in_view(state, points).any():
        return False
    open_ = unhidden(state.obstacles, state.position, CAMERA_HEIGHT_M, points, GOAL_HEIGHT_M)
    return int(np.count_nonzero(open_ & in_view(state, points))) >= 2


def unhidden(
    obstacles: Sequence[Obstacle], eye: FloatArray, eye_m: float, points: FloatArray, points_m: float
) -> NDArray[np.bool_]:
    """Which points, (n, 2) at height `points_m`, a line from `eye`, (2,) at `eye_m`, reaches, (n,)."""
    count = max(int(np.hypot(*(points - eye).T).max() / _STEP_M), 2)
    share = np.linspace(0.0, 1.0, count)
    lines = eye + share[None, :, None] * (points - eye)[:, None, :]
    heights = eye_m + share * (points_m - eye_m)
    hidden = np.zeros(len(points), np.bool_)
    for thing in obstacles:
        inside = distance_to(thing, lines) < 0.0
        hidden |= (inside & (heights < thing.height_m) & (heights > thing.bottom_m)).any(axis=1)
    return ~hidden


def wrapped(angle: FloatArray) -> FloatArray:
    """The same angle in [-pi, pi)."""
    return np.asarray((angle + np.pi) % (2.0 * np.pi) - np.pi)
