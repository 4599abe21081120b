"""Where the Point robot is with respect to the box, and how the box follows when pushed.

Each face of the box has a notch between two posts. The robot's nose and ball fit into it: the box is so
light that the robot carries it before itself like a load, its centre about 0.35 m ahead. Within half a
radian the load does not turn with the robot but leans in the notch; beyond, it turns along.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from safe_o2o_ros.sim.state import PrivilegedState

FloatArray = NDArray[np.float32]

CARRIED_M = 0.352
"""Distance between centres when the nose touches the face."""
LEAN_RAD = 0.46
"""Largest angle between heading and bearing of the box at which it stays in the notch."""
CURVE_1_M = 2.6
"""Largest curvature of the robot's way, 1/m, on which a leaning box does not slip out of the notch."""
HULL_M = 0.3
"""Half the side of the square that holds the box and its posts."""


@dataclass(frozen=True)
class BoxView:
    """The box as the robot has it before itself."""

    ahead: float
    """Along the robot's heading to the box's centre, m."""
    left: float
    """Across, m."""
    bearing: float
    """World angle from the robot to the box's centre, rad."""
    yaw: float
    """Heading of the box, rad; of its four equal ones the one nearest to the robot's heading."""

    @classmethod
    def of(cls, state: PrivilegedState) -> BoxView:
        """The view in a state with a box."""
        dx, dy = state.box[0] - state.position
        c, s = np.cos(state.yaw), np.sin(state.yaw)
        return cls(
            ahead=float(c * dx + s * dy),
            left=float(c * dy - s * dx),
            bearing=float(np.arctan2(dy, dx)),
            yaw=float(state.yaw + wrapped(state.box_yaw - state.yaw, 0.5 * np.pi)),
        )

    def carried(self) -> bool:
        """Whether the robot stands in a notch, so that driving on moves the box."""
        return self.ahead > 0.27 and abs(self.left) < 0.22 and np.hypot(self.ahead, self.left) < 0.42

    def seated(self) -> bool:
        """Whether it stands so well in the notch that carrying can begin."""
        return self.ahead > 0.3 and abs(self.left) < 0.12 and np.hypot(self.ahead, self.left) < 0.39

    def slipped(self) -> float:
        """By how much the lean is beyond the one the box keeps by itself, rad."""
        return max(0.0, float(np.arctan2(abs(self.left), self.ahead)) - LEAN_RAD)


def wrapped(angle: float, turn: float = 2.0 * np.pi) -> float:
    """The angle of the same direction nearest to 0, where a direction recurs every `turn` rad."""
    return float((angle + 0.5 * turn) % turn - 0.5 * turn)


def carried_bearings(bearing: float, yaws: FloatArray) -> FloatArray:
    """World angles robot to box for headings (K, N) of plans that carry it on, from the present one."""
    out = np.empty_like(yaws)
    # Whole turns apart from the headings would read as a lean.
    now = np.full(len(yaws), yaws[0, 0] + wrapped(bearing - float(yaws[0, 0])), np.float32)
    for i in range(yaws.shape[1]):
        now = np.clip(now, yaws[:, i] - np.float32(LEAN_RAD), yaws[:, i] + np.float32(LEAN_RAD))
        out[:, i] = now
    return out


def hull_gap(x: FloatArray, y: FloatArray, angle: FloatArray | float) -> FloatArray:
    """Distance from points, relative to the box's centre, to its hull turned by `angle`, m; 0 inside."""
    c, s = np.cos(angle), np.sin(angle)
    across = np.maximum(np.abs(c * x + s * y) - HULL_M, 0.0)
    along = np.maximum(np.abs(c * y - s * x) - HULL_M, 0.0)
    return np.asarray(np.hypot(across, along), np.float32)
