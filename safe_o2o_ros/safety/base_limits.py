"""Limits of a base as Nav2 writes them, [vx, vy, wz] in m/s and rad/s, to bounds on effective actions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.safety.limits import Bounds

AXES = ("linear.x", "linear.y", "angular.z")
"""Order of the entries of every list."""


def positive_entries(values: Sequence[float]) -> str:
    """What is wrong with max_velocity or max_accel, or ""."""
    if any(not v >= 0.0 for v in values):
        return "must be 0 or more in each entry"
    return ""


def negative_entries(values: Sequence[float]) -> str:
    """What is wrong with min_velocity or max_decel, or ""."""
    if any(not v <= 0.0 for v in values):
        return "must be 0 or less in each entry, as in Nav2: write it with a minus"
    return ""


def tightened(
    adapter: RobotAdapter,
    *,
    max_velocity: Sequence[float] = (),
    min_velocity: Sequence[float] = (),
    max_accel: Sequence[float] = (),
    max_decel: Sequence[float] = (),
) -> Bounds:
    """The adapter's bounds, made tighter by what is given: velocities in m/s and rad/s, rates per second.

    () leaves the adapter's. Signs as in Nav2: `min_velocity` and `max_decel` are 0 or less. Nothing given
    widens what the adapter allows. Raises UsageError where the base could never start or never brake.
    """
    own = Bounds.of(adapter)
    low, high, accel, decel = own.low.copy(), own.high.copy(), own.accel.copy(), own.decel.copy()
    for i, name in enumerate(adapter.action_names):
        if name not in AXES:
            continue
        axis, top = AXES.index(name), adapter.top_speed[i]
        forward = max_velocity[axis] / top if len(max_velocity) else math.inf
        backward = min_velocity[axis] / top if len(min_velocity) else -math.inf
        if adapter.scale[i] < 0.0:
            # A positive action is a negative twist on this channel.
            forward, backward = -backward, -forward
        high[i], low[i] = min(high[i], forward), max(low[i], backward)
        if len(max_accel):
            accel[i] = min(accel[i], _rate("max_accel", name, max_accel[axis] / top))
        if len(max_decel):
            decel[i] = min(decel[i], _rate("max_decel", name, -max_decel[axis] / top))
    return Bounds(low, high, accel, decel)


def _rate(parameter: str, name: str, value: float) -> float:
    if not np.isfinite(value) or value <= 0.0:
        raise UsageError(
            f"'{parameter}' is {abs(value):g} for {name}, which this base drives: it could never change its "
            "speed; give a rate other than 0"
        )
    return value
