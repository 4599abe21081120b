"""The last clip before the base: the action box and the acceleration limits, and the brake."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.types import FloatArray

STANDING = 0.01
"""Share of the top speed below which the robot counts as standing, so that a brake ends in a plain zero."""
_LEAST_DT_S = 1e-6
"""Two answers may come at one time, and no rate times no time is no number."""
_Box = tuple[NDArray[np.float64], NDArray[np.float64]]
LAG_S = 0.3
"""Seconds a velocity base may trail its commands before they stop running ahead of it."""


@dataclass(frozen=True)
class Bounds:
    """A box of effective actions and rates per channel; each (A,) float64."""

    low: NDArray[np.float64]
    """Lowest effective action, in [-1, 0]."""
    high: NDArray[np.float64]
    """Highest effective action, in [0, 1]."""
    accel: NDArray[np.float64]
    """Largest growth of its magnitude, per second."""
    decel: NDArray[np.float64]
    """Largest decrease of its magnitude, per second."""

    @classmethod
    def of(cls, adapter: RobotAdapter) -> Bounds:
        """What the adapter itself allows."""
        ones = np.ones(adapter.action_dim)
        return cls(
            -ones, ones, np.asarray(adapter.max_accel, np.float64), np.asarray(adapter.max_decel, np.float64)
        )


class SpeedEstimate:
    """First-order estimate of the speed from executed commands, used where odometry is absent.

    v' = (v_max * u - v) / tau per channel, u the effective action; tau = 0 means the command is the speed.
    """

    def __init__(self, adapter: RobotAdapter) -> None:
        self._adapter = adapter
        self._top = np.asarray(adapter.top_speed, np.float64)
        self.speed = np.zeros(adapter.action_dim)
        """(A,) float64, m/s and rad/s."""

    def reset(self) -> None:
        """The robot stands."""
        self.speed[:] = 0.0

    def advance(self, raw: FloatArray, dt_s: float) -> None:
        """`raw` action (A,) was in force for `dt_s` seconds."""
        target = self._adapter.effective(raw).astype(np.float64) * self._top
        self.speed = self._adapter.lagged(self.speed, target, dt_s)


class Limits:
    """The box of effective actions reachable from the last executed one within one period."""

    def __init__(self, adapter: RobotAdapter, bounds: Bounds | None = None) -> None:
        """`bounds`: tighter than the adapter's own (see base_limits); None = the adapter's own."""
        self._adapter = adapter
        self._bounds = bounds or Bounds.of(adapter)
        self._top = np.asarray(adapter.top_speed, np.float64)

    def box(
        self,
        last_raw: FloatArray,
        dt_s: float,
        speed: NDArray[np.floating] | None = None,
        braking: bool = False,
        pace: float = 1.0,
    ) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest effective action (A,), each, after `dt_s` seconds from `last_raw`.

        `speed`: measured (A,), m/s and rad/s. The reference stays the last command, since a measured one
        comes late and would slow every start; but a velocity base that trails by more than LAG_S (blocked,
        slipping) is not sent further ahead. `braking`: only rates bound it, since a brake may push backwards
        harder than the robot may drive backwards. `pace`: share of the bounds that is left.
        """
        dt_s = max(dt_s, _LEAST_DT_S)
        low, high = self._reachable(last_raw, dt_s)
        if speed is not None and self._adapter.brake == "velocity":
            measured = np.clip(np.asarray(speed, np.float64) / self._top, -1.0, 1.0)
            ahead = self._bounds.accel * (LAG_S + dt_s)
            # Zero stays reachable whatever is measured: a check must never ask for motion.
            low, high = _narrow(low, high, np.minimum(measured - ahead, 0), np.maximum(measured + ahead, 0))
        if not braking:
            low, high = _narrow(low, high, pace * self._bounds.low, pace * self._bounds.high)
        return low.astype(np.float32), high.astype(np.float32)

    def _reachable(
        self, last_raw: FloatArray, dt_s: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        last = self._adapter.effective(last_raw).astype(np.float64)
        accel, decel = self._bounds.accel, self._bounds.decel
        up = np.where(last >= 0.0, accel, decel) * dt_s
        down = np.where(last <= 0.0, accel, decel) * dt_s
        # A command that crosses zero within the period brakes first; it may not then speed up
        # with the brake's larger rate, so growth beyond zero is limited by max_accel.
        high = np.where(last >= 0.0, last + up, np.minimum(last + up, accel * dt_s))
        low = np.where(last <= 0.0, last - down, np.maximum(last - down, -accel * dt_s))
        return np.clip(low, -1.0, 1.0), np.clip(high, -1.0, 1.0)

    def clip(self, raw: FloatArray, box: tuple[FloatArray, FloatArray]) -> FloatArray:
        """The raw action nearest to `raw` inside the box; unchanged (bit for bit) when it is inside."""
        effective = self._adapter.effective(raw)
        clipped = np.clip(effective, *box)
        bounded = np.clip(raw, -1.0, 1.0).astype(np.float32)
        return np.where(clipped == effective, bounded, self._adapter.raw(clipped)).astype(np.float32)

    def scale(self, raw: FloatArray, box: tuple[FloatArray, FloatArray]) -> FloatArray:
        """As `clip`, but of a velocity base all channels shrink by one factor, which keeps the curvature.

        Where no multiple of `raw` lies in the box, the nearest action does.
        """
        low, high = box
        effective = self._adapter.effective(raw)
        inside = ((effective >= low) & (effective <= high)).all()
        if inside or self._adapter.brake != "velocity":
            return self.clip(raw, box)
        moving = effective != 0.0
        edges = np.stack([low, high]).astype(np.float64)[:, moving] / effective[moving].astype(np.float64)
        least, most = edges.min(axis=0).max(initial=0.0), edges.max(axis=0).min(initial=1.0)
        held = ((low <= 0.0) & (high >= 0.0))[~moving].all()
        if least > most or not held:
            return self.clip(raw, box)
        return self.clip(self._adapter.raw(np.asarray(effective * most, np.float32)), box)


def _narrow(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    least: NDArray[np.float64],
    most: NDArray[np.float64],
) -> _Box:
    """The part of [low, high] within [least, most]; the end next to it when they do not meet."""
    return np.clip(least, low, high), np.clip(most, low, high)


def brake_action(adapter: RobotAdapter, speed: NDArray[np.floating], dt_s: float) -> FloatArray:
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
