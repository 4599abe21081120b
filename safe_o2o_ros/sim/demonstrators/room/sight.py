"""What the cameras at a robot's front and back see of a room."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.sim.robots import ROOM_ROBOT, CameraPose
from safe_o2o_ros.sim.room.geometry import Shapes
from safe_o2o_ros.sim.room.state import FloatArray, RoomState

HALF_VIEW_RAD = np.radians(43.0)
"""Half the horizontal field of view, less a strip in which too little of a thing is seen."""
GOAL_RADIUS_M = 0.15
HIDING_M = 0.35
"""A thing of this height hides most of the goal, wherever it stands between goal and camera."""
_HEIGHTS_M = (0.15, 0.4)
"""Heights at which the goal is looked for; its top is at 0.5 m."""
_EDGE = 0.7
"""Where a goal's sides are looked at, as a share of its radius."""
_ENOUGH = 2
"""Of the places looked at, so many must be in sight."""


def in_view(state: RoomState, points: FloatArray) -> NDArray[np.bool_]:
    """Which points, (n, 2), lie in any camera's field of view, (n,), were nothing in between."""
    seen = np.zeros(len(points), np.bool_)
    for eye, direction in _eyes(state):
        seen |= _ahead(eye, direction, points)
    return seen


def goal_in_sight(state: RoomState) -> bool:
    """Whether more than a sliver of the goal is in a camera's view and not hidden."""
    offset = state.goal - state.position
    side = np.array([-offset[1], offset[0]]) / max(float(np.hypot(*offset)), 1e-6) * (_EDGE * GOAL_RADIUS_M)
    across = np.stack([state.goal - side, state.goal, state.goal + side])
    for eye, direction in _eyes(state):
        inside = across[_ahead(eye, direction, across)]
        if len(inside):
            points = np.concatenate([np.column_stack([inside, np.full(len(inside), z)]) for z in _HEIGHTS_M])
            if int(np.count_nonzero(~Shapes(state.obstacles).blocks(eye, points))) >= _ENOUGH:
                return True
    return False


def wrapped(angle: FloatArray | float) -> FloatArray:
    """The same angle in [-pi, pi)."""
    return np.asarray((angle + np.pi) % (2.0 * np.pi) - np.pi)


def _eyes(state: RoomState) -> Iterator[tuple[FloatArray, float]]:
    """Place (3,) and direction (rad) of each camera in the world; where none is rendered, of the task's."""
    c, s = np.cos(state.yaw), np.sin(state.yaw)
    for camera in (state.cameras or ROOM_ROBOT.cameras).values():
        x, y, z = camera.position
        eye = np.array([state.position[0] + c * x - s * y, state.position[1] + s * x + c * y, z])
        yield eye, state.yaw + _looking(camera)


def _looking(camera: CameraPose) -> float:
    """Direction a camera looks in, rad about the base's z axis."""
    ahead = np.cross(camera.xyaxes[3:], camera.xyaxes[:3])
    return float(np.arctan2(ahead[1], ahead[0]))


def _ahead(eye: FloatArray, direction: float, points: FloatArray) -> NDArray[np.bool_]:
    offset = points - eye[:2]
    off_axis = wrapped(np.arctan2(offset[:, 1], offset[:, 0]) - direction)
    return np.asarray(np.abs(off_axis) <= HALF_VIEW_RAD)
