"""The last clip before the base: the action box and the acceleration limits, and the brake."""

from __future__ import annotations

import numpy as np

from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.types import FloatArray

STANDING = 0.01
"""Share of the top speed below which the robot counts as standing, so that a brake ends in a plain zero."""


class SpeedEstimate:
    """First-order estimate of the speed from executed commands, used where odometry is absent.

    v' = (v_max * u - v) / tau per channel, u the effective action; tau = 0 means the command is the speed.
    """

    def __init__(self, adapter: RobotAdapter) -> None:
        self._adapter = adapter
        self._top = np.asarray(adapter.top_speed, np.float64)
        self._tau = np.asarray(adapter.time_constant_s, np.float64)
        self.speed = np.zeros(adapter.action_dim)
        """(A,) float64, m/s and rad/s."""

    def reset(self) -> None:
        """The robot stands."""
        self.speed[:] = 0.0

    def advance(self, raw: FloatArray, dt_s: float) -> None:
        """`raw` action (A,) was in force for `dt_s` seconds."""
        target = self._adapter.effective(raw).astype(np.float64) * self._top
        decay = np.where(self._tau > 0.0, np.exp(-dt_s / np.maximum(self._tau, 1e-9)), 0.0)
        self.speed = target + (self.speed - target) * decay


class Limits:
    """The box of effective actions reachable from the last executed one within one period."""

    def __init__(self, adapter: RobotAdapter) -> None:
        self._adapter = adapter
        self._accel = np.asarray(adapter.max_accel, np.float64)
        self._decel = np.asarray(adapter.max_decel, np.float64)

    def box(self, last_raw: FloatArray, dt_s: float) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest effective action (A,), each, after `dt_s` seconds from `last_raw`."""
        last = self._adapter.effective(last_raw).astype(np.float64)
        up = np.where(last >= 0.0, self._accel, self._decel) * dt_s
        down = np.where(last <= 0.0, self._accel, self._decel) * dt_s
        # A command that crosses zero within the period brakes first; it may not then speed up
        # with the brake's larger rate, so growth beyond zero is limited by max_accel.
        high = np.where(last >= 0.0, last + up, np.minimum(last + up, self._accel * dt_s))
        low = np.where(last <= 0.0, last - down, np.maximum(last - down, -self._accel * dt_s))
        return np.clip(low, -1.0, 1.0).astype(np.float32), np.clip(high, -1.0, 1.0).astype(np.float32)

    def clip(self, raw: FloatArray, last_raw: FloatArray, dt_s: float) -> FloatArray:
        """The raw action nearest to `raw` inside the box; unchanged (bit for bit) when it is inside."""
        low, high = self.box(last_raw, dt_s)
        effective = self._adapter.effective(raw)
        clipped = np.clip(effective, low, high)
        bounded = np.clip(raw, -1.0, 1.0).astype(np.float32)
        return np.where(clipped == effective, bounded, self._adapter.raw(clipped)).astype(np.float32)


def brake_action(adapter: RobotAdapter, speed: np.ndarray, dt_s: float) -> FloatArray:
    """The raw action that stops the robot soonest, given its estimated speed (A,) in m/s, rad/s.

    "velocity": zero (the limits make the ramp). "reverse_thrust": on the driven channel, thrust
    against the motion, and no more than brings the speed to zero within `dt_s`, so that the brake never
    drives the robot the other way.
    """
    raw = adapter.zero()
    top, tau = float(adapter.top_speed[0]), float(adapter.time_constant_s[0])
    # Without lag the speed is the command, and zero stops it at once.
    if adapter.brake != "reverse_thrust" or tau <= 0.0 or abs(float(speed[0])) <= STANDING * top:
        return raw
    decay = float(np.exp(-dt_s / tau))
    # From v(dt) = 0 in v(t) = v_max u + (v - v_max u) exp(-t / tau).
    needed = -float(speed[0]) * decay / (top * (1.0 - decay))
    effective = np.zeros(adapter.action_dim, np.float32)
    effective[0] = np.clip(needed, -1.0, 1.0)
    return adapter.raw(effective)
