"""The simulated robot's exact odometry, one way for the node and for the loop without ROS."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Moving(Protocol):
    """What the true states of all tasks have (world frame)."""

    @property
    def yaw(self) -> float:
        """Heading of base_link's x axis, rad."""
        ...

    @property
    def velocity(self) -> NDArray[np.float64]:
        """Shape (2,), m/s."""
        ...

    @property
    def yaw_rate(self) -> float:
        """rad/s."""
        ...


def body_twist(state: Moving) -> dict[str, float]:
    """Twist fields in base_link: linear.x and linear.y in m/s, angular.z in rad/s."""
    cos, sin = math.cos(state.yaw), math.sin(state.yaw)
    vx, vy = (float(v) for v in state.velocity)
    return {
        "linear.x": cos * vx + sin * vy,
        "linear.y": cos * vy - sin * vx,
        "angular.z": float(state.yaw_rate),
    }
