"""The true state of a RoomNav episode, for demonstrators, plots and checks; never for a policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.sim.robots import CameraPose

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Obstacle:
    """One upright piece of furniture, or a part of one (a table leg, a table top). Walls are not listed.

    A table is five: four legs and a top. World frame, metres and radians.
    """

    kind: Literal["box", "cylinder"]
    x: float
    y: float
    yaw: float
    """Heading of the box's local x axis, rad; 0 for a cylinder."""
    half_x: float
    """Half length along the local x axis, m; a cylinder's radius."""
    half_y: float
    """Half length along the local y axis, m; a cylinder's radius."""
    height_m: float
    """Upper edge above the floor, m."""
    solid: bool = True
    """True: stands on the floor and can be hit. False: a top above the robot, which only blocks the view."""
    bottom_m: float = 0.0
    """Lower edge above the floor, m; more than 0 for table tops only."""


@dataclass(frozen=True)
class RoomState:
    """World frame (origin in the middle of the room), SI units, float64."""

    position: FloatArray
    """Robot's centre, shape (2,), m."""
    yaw: float
    """Heading of the body's x axis, rad in (-pi, pi]."""
    velocity: FloatArray
    """Shape (2,), m/s."""
    yaw_rate: float
    """rad/s."""
    goal: FloatArray
    """Centre of the goal, shape (2,), m."""
    reach_m: float
    """The goal is reached at this distance between centres, m."""
    robot_radius_m: float
    half_size: FloatArray
    """Inner faces of the walls are at x = +-half_size[0], y = +-half_size[1], m."""
    obstacles: tuple[Obstacle, ...]
    clearance_m: float
    """From the robot's rim to the nearest wall or solid obstacle, m; negative where it is pressed in."""
    contact: bool
    """The robot touched something in the last control step."""
    control_step_s: float
    """Length of a control step, s."""
    cameras: dict[str, CameraPose]
    """Pose and field of view of each observed camera, in the robot's frame."""
    path_distance_m: float
    """Length of the shortest free path to the goal's centre, m."""
