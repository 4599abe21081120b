"""Whether something holds the base that the cameras do not show: it is told to drive and odometry says no.

A camera sees neither the corner that a wheel hangs on nor what is under the bumper, and networks that learnt
from cameras call such a place free. Wheels know better.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.types import FloatArray

PUSHING = 0.15
"""Share of the top speed that commands must lead to: below, bases stand by friction alone."""
STANDS = 0.2
"""Share of what the commands lead to below which a base does not follow them."""


class Obstruction:
    """`note` what was executed and what was measured, once per answer."""

    def __init__(self, adapter: RobotAdapter, forward: int) -> None:
        """`forward`: index of the Twist field that drives."""
        self._adapter, self._forward = adapter, forward
        self._top = float(adapter.top_speed[forward])
        self._expected = np.zeros(adapter.action_dim)

    def reset(self) -> None:
        """The robot stands."""
        self._expected[:] = 0.0

    def note(self, executed: FloatArray, dt_s: float, measured: NDArray[np.floating] | None) -> float:
        """The raw action `executed` (A,) was in force for `dt_s` seconds; `measured` (A,), m/s and rad/s.

        Returns where it pushes and does not get on: 1 forwards, -1 backwards, 0 where it moves, is not told
        to, or nothing was measured. Zero to the last bit is measured too: so says odometry of held wheels.
        """
        self._expected = self._adapter.lagged(self._expected, self._adapter.steady_speed(executed), dt_s)
        expected = float(self._expected[self._forward])
        if measured is None or not np.isfinite(measured).all() or abs(expected) < PUSHING * self._top:
            return 0.0
        held = abs(float(measured[self._forward])) < STANDS * abs(expected)
        return float(np.sign(expected)) if held else 0.0
