"""The true state of a simulated episode, for demonstrators, plots and checks; never for a policy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class PrivilegedState:
    """World frame, SI units, float64."""

    position: FloatArray
    """Robot's centre, shape (2,), m."""
    yaw: float
    """Heading of the body's x axis, rad in (-pi, pi]."""
    velocity: FloatArray
    """Shape (2,), m/s."""
    yaw_rate: float
    """rad/s."""
    goal: FloatArray
    """Shape (2,), m."""
    goal_radius: float
    """The goal is reached at this distance between centres, m."""
    hazards: FloatArray
    """Centres, shape (n, 2), m."""
    hazard_radius: float
    """The robot's centre inside this radius costs, m."""
    vases: FloatArray
    """Centres, shape (n, 2), m."""
    control_step_s: float
    """Length of a control step, s."""
