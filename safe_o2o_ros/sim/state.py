"""The true state of a simulated episode, for demonstrators, plots and checks; never for a policy."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def _no_points() -> FloatArray:
    return np.zeros((0, 2))


@dataclass(frozen=True)
class PrivilegedState:
    """World frame, SI units, float64."""

    position: FloatArray
    """Robot's centre, shape (2,), m."""
    yaw: float
    """Heading of base_link's x axis, the direction of driving, rad in (-pi, pi]."""
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
    """The robot's centre costs only inside this radius, m; of discs everywhere in it."""
    vases: FloatArray
    """Centres, shape (n, 2), m."""
    control_step_s: float
    """Length of a control step, s."""
    hazards_yaw: FloatArray = field(default_factory=lambda: np.zeros(0))
    """Headings, shape (n,), rad."""
    hazard_half_m: float = 0.0
    """Half the side of square hazards, m; 0 = discs."""
    hazards_velocity: FloatArray = field(default_factory=_no_points)
    """Of their centres, shape (n, 2), m/s."""
    hazards_turn_rate: float = 0.0
    """At which these velocities turn, counter-clockwise, rad/s."""
    vases_yaw: FloatArray = field(default_factory=lambda: np.zeros(0))
    """Headings, shape (n,), rad."""
    vase_half_m: float = 0.1
    """Half the side of a vase, m."""
    vases_cost: bool = False
    """Whether touching vases costs in the task."""
    buttons: FloatArray = field(default_factory=_no_points)
    """Centres, shape (n, 2), m; balls."""
    button_radius: float = 0.1
    goal_button: int = -1
    """Index of the button to press; -1 where buttons are not the goal."""
    grace_steps: int = 0
    """Control steps in which wrong buttons still cost nothing."""
    gremlins: FloatArray = field(default_factory=_no_points)
    """Present centres, shape (n, 2), m."""
    gremlins_yaw: FloatArray = field(default_factory=lambda: np.zeros(0))
    """Headings, shape (n,), rad."""
    gremlin_places: FloatArray = field(default_factory=_no_points)
    """Centres of their circles, shape (n, 2), m."""
    gremlin_travel: float = 0.35
    """A gremlin is led to its place + travel (sin t, cos t) at the time t, m."""
    gremlin_lag_s: float = 0.09
    """By which it trails."""
    gremlin_half_m: float = 0.1
    """Half the side of a gremlin, m."""
    pillars: FloatArray = field(default_factory=_no_points)
    """Centres, shape (n, 2), m."""
    pillar_radius: float = 0.2
    box: FloatArray = field(default_factory=_no_points)
    """The box to push: its centre, shape (1, 2), m; (0, 2) where there is none."""
    box_yaw: float = 0.0
    """rad; the same at every quarter turn."""
    box_velocity: FloatArray = field(default_factory=_no_points)
    """Of its centre, shape (1, 2), m/s; (0, 2) where there is none."""
    box_half_m: float = 0.2
    """Half the side of its core, m; the posts at its corners stick out by `box_corner_m`."""
    box_corner_m: float = 0.1
    hull: tuple[tuple[float, float, float], ...] = ((0.0, 0.0, 0.1),)
    """The robot's outline as discs: x, y and radius in base_link, m."""
    time_s: float = 0.0
    """Simulated time since the start of the episode."""
