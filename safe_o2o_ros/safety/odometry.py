"""Whether a measured speed can be used, and how old it is."""

from __future__ import annotations

import math

import numpy as np

from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.types import FloatArray, MeasuredSpeed

PLAUSIBLE = 2.0
"""Multiple of the top speed beyond which a measurement is an error: downhill is faster than 1."""
HELD_S = 0.5
"""A wrong message is held against the next ones for so long: what alternates between both is wrong."""


class OdometryCheck:
    """Holds the newest measurement. Times are steady-clock seconds, given by the caller."""

    def __init__(self, adapter: RobotAdapter) -> None:
        self._most = PLAUSIBLE * np.asarray(adapter.top_speed)
        self._speed: FloatArray | None = None
        self._received_s = self._changed_s = self._wrong_s = -math.inf
        self._wrong = ""

    def note(self, speed: FloatArray, now_s: float) -> None:
        """`speed` (A,), m/s and rad/s, with a stamp that had moved."""
        if self._speed is None or not np.array_equal(speed, self._speed):
            self._changed_s = now_s
        self._speed, self._received_s = speed, now_s
        if not np.isfinite(speed).all():
            self.refuse("non_finite", now_s)
        elif (np.abs(speed) > self._most).any():
            self.refuse("implausible", now_s)
        elif now_s - self._wrong_s > HELD_S:
            self._wrong = ""

    def refuse(self, problem: str, now_s: float) -> None:
        """The newest message cannot be used at all."""
        self._wrong, self._wrong_s = problem, now_s

    def problem(self, late: bool) -> str:
        """Why there is nothing to use: "missing", "stale", "non_finite", "implausible", ..., or ""."""
        if self._wrong:
            return self._wrong
        if self._speed is None:
            return "missing"
        return "stale" if late else ""

    def measured(self, late: bool, now_s: float) -> MeasuredSpeed | None:
        """The newest measurement, None when there is a problem with it."""
        if self._speed is None or self.problem(late):
            return None
        return MeasuredSpeed(self._speed, now_s - self._received_s, now_s - self._changed_s)
