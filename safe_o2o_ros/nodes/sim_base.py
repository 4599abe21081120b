"""What a base makes of the commands it gets, as real drivers do. Pure: no node, times are given."""

from __future__ import annotations

import math

from geometry_msgs.msg import Twist

from safe_o2o_ros.nodes import conversions
from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.safety.limits import SpeedEstimate, brake_action
from safe_o2o_ros.sim.faults import DelayLine
from safe_o2o_ros.types import FloatArray

HUGE = 10.0
"""Multiple of full scale from which a command is an error and not a wish."""


class SimBase:
    """Obeys the newest command, and brakes by itself on an old, a bad or no command."""

    def __init__(self, adapter: RobotAdapter, period_s: float, timeout_s: float) -> None:
        """`timeout_s`: age of a command from which the base ignores it and brakes."""
        self._adapter, self._period_s, self._timeout_s = adapter, period_s, timeout_s
        self._estimate = SpeedEstimate(adapter)
        self._line: DelayLine[Twist] = DelayLine()
        self.bad_commands = 0
        """Commands that were not finite, or far beyond what the base can do."""
        self.reset()

    def reset(self) -> None:
        """The robot stands somewhere else and has no command."""
        self._estimate.reset()
        self._line.clear()
        self._command: FloatArray | None = None
        self._since_s = -math.inf
        self._driven = self._adapter.zero()

    @property
    def idle(self) -> bool:
        """Nothing was asked for in the last period."""
        return not self._driven.any()

    def take(self, twist: Twist, now_s: float) -> None:
        """A command was sent at `now_s`, seconds of a steady clock."""
        self._line.push(twist, now_s)

    def drive(self, now_s: float, latency_s: float = 0.0, held: bool = False) -> FloatArray:
        """Raw action (A,) for the next period; commands arrive `latency_s` after they were sent.

        `held`: the base brakes instead.
        """
        for sent_s, twist in self._line.due(now_s, latency_s):
            self._command, self._since_s = self._read(twist), sent_s + latency_s
        if not held and self._command is not None and now_s - self._since_s <= self._timeout_s:
            action = self._command
        else:
            action = brake_action(self._adapter, self._estimate.speed, self._period_s)
        self._estimate.advance(action, self._period_s)
        self._driven = action
        return action

    def _read(self, twist: Twist) -> FloatArray | None:
        parts = (twist.linear, twist.angular)
        finite = all(math.isfinite(v) for part in parts for v in (part.x, part.y, part.z))
        channels = zip(self._adapter.action_names, self._adapter.scale, strict=True)
        if finite and all(abs(_field(twist, name)) <= HUGE * abs(scale) for name, scale in channels):
            return conversions.from_twist(twist, self._adapter)
        self.bad_commands += 1
        return None


def _field(twist: Twist, name: str) -> float:
    part, axis = name.split(".")
    return float(getattr(getattr(twist, part), axis))
