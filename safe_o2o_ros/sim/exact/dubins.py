"""DubinsAvoid: a car of constant speed and bounded turn rate that must not touch a disc (method.md).

States are rows (x, y, heading): metres, metres, rad, world frame; heading 0 looks along x. Leaving the
domain is no failure.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.robot import RobotAdapter

FloatArray = NDArray[np.float64]

SPEED = 1.0
"""m/s."""
TURN_RATE = 1.25
"""Largest turn rate, rad/s."""
HAZARD_RADIUS = 0.5
"""Of the disc at the origin, metres."""
HALF_WIDTH = 1.5
"""The domain is [-HALF_WIDTH, HALF_WIDTH]^2, metres."""
PERIOD_S = 0.05
"""Control period, seconds."""

ADAPTER = RobotAdapter(
    name="dubins",
    action_names=("angular.z",),
    action_units=("rad/s",),
    scale=(TURN_RATE,),
    saturation=(1.0,),
    brake="velocity",
    top_speed=(TURN_RATE,),
    time_constant_s=(0.0,),
    max_accel=(float("inf"),),
    max_decel=(float("inf"),),
)
"""Its one channel turns; nothing stops this car."""


def step(states: FloatArray, actions: FloatArray, period_s: float = PERIOD_S) -> FloatArray:
    """States (N, 3) after one period of turning at TURN_RATE * actions (N,), in [-1, 1]; exact."""
    x, y, heading = states.T
    turned = TURN_RATE * actions * period_s
    # The chord of an arc: sinc holds for straight ahead too.
    chord = SPEED * period_s * np.sinc(turned / (2.0 * np.pi))
    middle = heading + 0.5 * turned
    ahead = (heading + turned) % (2.0 * np.pi)
    return np.stack([x + chord * np.cos(middle), y + chord * np.sin(middle), ahead], axis=-1)


def margin(states: FloatArray) -> FloatArray:
    """Metres (...) from the disc's edge of states (..., 3); negative inside."""
    return np.asarray(np.hypot(states[..., 0], states[..., 1]) - HAZARD_RADIUS)


def hazard_in_base(states: FloatArray) -> FloatArray:
    """(N, 2) where the disc's centre is in base_link (x ahead, y left), metres."""
    x, y, heading = states.T
    c, s = np.cos(heading), np.sin(heading)
    return np.stack([-(c * x + s * y), s * x - c * y], axis=-1)


def grid(nodes: int = 41) -> FloatArray:
    """(nodes^3, 3) states of a lattice over the domain and all headings, x slowest."""
    side = np.linspace(-HALF_WIDTH, HALF_WIDTH, nodes)
    headings = np.arange(nodes) * (2.0 * np.pi / nodes)
    return np.stack(np.meshgrid(side, side, headings, indexing="ij"), axis=-1).reshape(-1, 3)


def best_margin(states: FloatArray, resolution_s: float = 0.01) -> FloatArray:
    """(N,) the largest least margin any driving can keep from states (N, 3), metres: by geometry.

    Among all ways to pass one disc the best turns fully to one side for a while and then goes straight: so
    both sides and all durations are tried, in steps of `resolution_s`.
    """
    best = np.full(len(states), -np.inf)
    for side in (-1.0, 1.0):
        car, least = np.array(states, np.float64), np.full(len(states), np.inf)
        turn = np.full(len(states), side)
        for _ in range(int(2.0 * np.pi / TURN_RATE / resolution_s) + 1):
            least = np.minimum(least, np.hypot(car[:, 0], car[:, 1]))
            ahead, left = hazard_in_base(car).T
            straight = np.where(ahead > 0.0, np.abs(left), np.hypot(car[:, 0], car[:, 1]))
            best = np.maximum(best, np.minimum(least, straight))
            car = step(car, turn, resolution_s)
    return np.asarray(best - HAZARD_RADIUS)
