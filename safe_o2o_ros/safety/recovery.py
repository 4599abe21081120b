"""Row 8: a robot that the filter holds before an obstacle gets a bounded try at driving around it.

A filter that answers with the nearest safe command stops a driver who insists, and there both stay. So
after some time of standing the robot turns away to one side and drives on in the driver's direction, as far
as that is certified; the next try goes to the other side and further (the doubling search of a line). After
the last try it brakes and asks. A robot that is held by what it does not see (safety/obstruction.py) first
goes back where it came from.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.safety.obstruction import Obstruction
from safe_o2o_ros.types import FloatArray

_FORWARD, _TURN = "linear.x", "angular.z"


@dataclass(frozen=True)
class RecoveryConfig:
    """When and how."""

    stuck_s: float = 0.5
    """Seconds of standing still under the filter's hand after which a try begins; inf = never."""
    still: float = 0.05
    """Share of what top speed would make in that time below which the robot stood still."""
    back_s: float = 0.6
    """Time of driving back from what holds the robot."""
    turn_rad: float = 0.9
    """Turn of the first try, radians."""
    turn_s: float = 1.5
    """Longest time of turning."""
    drive_s: float = 0.5
    """Time of driving of the first try; every second try is longer by as much."""
    pace: float = 0.6
    """Share of full actuation."""
    attempts: int = 8
    forget_s: float = 4.0
    """Driving for so long without being stuck clears the count of tries."""


class Phase(Enum):
    """Where a try is."""

    NONE = "none"
    BACK = "back"
    TURN = "turn"
    DRIVE = "drive"
    EXHAUSTED = "exhausted"


class _Moment(NamedTuple):
    time_s: float
    x: float
    y: float
    hindered: bool
    """By the filter, or by something that holds the robot."""
    pushed: float
    """See Obstruction.note."""


class Recovery:
    """`advance` after every answer; `wish` says where to drive while a try runs."""

    def __init__(self, adapter: RobotAdapter, config: RecoveryConfig) -> None:
        """An adapter that cannot both drive and turn has no tries: it only asks."""
        self._adapter, self._config = adapter, config
        self._able = {_FORWARD, _TURN} <= set(adapter.action_names)
        if self._able:
            self._forward = adapter.action_names.index(_FORWARD)
            self._turn = adapter.action_names.index(_TURN)
            self._obstruction = Obstruction(adapter, self._forward)
        self.reset()

    def reset(self) -> None:
        """Forget the past: the robot was moved, or somebody else drives."""
        self.phase = Phase.NONE
        self._speed = np.zeros(self._adapter.action_dim)
        self._way: deque[_Moment] = deque()
        self._pose = np.zeros(3)
        self._time_s = 0.0
        self._free_s = 0.0
        self._tries = 0
        self._side = 0.0
        self._ahead = 1.0
        self._begun_s = 0.0
        self._begun_yaw = 0.0
        self._pushed = 0.0
        self.held = False
        """Something holds the robot at this moment."""
        if self._able:
            self._obstruction.reset()

    @property
    def running(self) -> bool:
        """A try runs."""
        return self.phase in (Phase.BACK, Phase.TURN, Phase.DRIVE)

    @property
    def obstructed(self) -> bool:
        """What the last try was about is something that no critic knows of."""
        return self._pushed != 0.0

    @property
    def retreating(self) -> bool:
        """It drives back from what holds it."""
        return self.phase is Phase.BACK

    @property
    def exhausted(self) -> bool:
        """All tries are spent."""
        return self.phase is Phase.EXHAUSTED

    def advance(
        self,
        executed: FloatArray,
        dt_s: float,
        hindered: bool,
        measured: NDArray[np.float64] | None,
        odometry: NDArray[np.floating] | None = None,
    ) -> None:
        """The raw action `executed` (A,) was in force for `dt_s` seconds; was it the filter's?

        `measured` (A,): speed of each Twist field, m/s and rad/s, where it was measured. `odometry`: the
        same, believed or not.
        """
        if not self._able or not math.isfinite(self._config.stuck_s):
            return
        self._time_s += dt_s
        pushed = self._obstruction.note(executed, dt_s, odometry)
        self.held = pushed != 0.0
        self._move(executed, dt_s, np.zeros_like(self._speed) if self.held else measured)
        way, c = self._way, self._config
        x, y = float(self._pose[0]), float(self._pose[1])
        way.append(_Moment(self._time_s, x, y, hindered or self.held, pushed))
        while way and self._time_s - way[0].time_s > c.stuck_s + 1e-9:
            way.popleft()
        if self.phase is Phase.BACK and self._time_s - self._begun_s >= c.back_s:
            # It does not ask for help while it still touches something.
            if self._tries > c.attempts:
                self.phase = Phase.EXHAUSTED
            else:
                self._begin_turn()
        elif self.phase is Phase.TURN:
            turned = abs(self._pose[2] - self._begun_yaw)
            if turned >= c.turn_rad or self._time_s - self._begun_s >= c.turn_s:
                self.phase, self._begun_s = Phase.DRIVE, self._time_s
        elif self.phase is Phase.DRIVE:
            if self._time_s - self._begun_s >= c.drive_s * (1 + (self._tries - 1) // 2):
                self.phase = Phase.NONE
                way.clear()
        elif self.phase is Phase.NONE:
            self._free_s += dt_s
            if self._free_s > c.forget_s:
                self._tries = 0

    def stuck(self) -> bool:
        """It has stood still for the whole window, mostly under the filter's hand or held by something."""
        c, way = self._config, self._way
        if self.phase is not Phase.NONE or not way or way[-1].time_s - way[0].time_s < 0.9 * c.stuck_s:
            return False
        moved = math.hypot(way[-1].x - way[0].x, way[-1].y - way[0].y)
        reach = float(self._adapter.top_speed[self._forward]) * c.stuck_s
        return moved < c.still * reach and sum(w.hindered for w in way) >= 0.8 * len(way)

    def begin(self, nominal: FloatArray, side: float) -> None:
        """Start a try, or give up after the last. `nominal` (A,) raw: where the driver wants to go.

        `side`: 1 to turn left first, -1 right; looked at in the first try of a row only.
        """
        self._free_s = 0.0
        pushed = sum(w.pushed for w in self._way)
        self._pushed = float(np.sign(pushed)) if abs(pushed) >= 0.5 * len(self._way) else 0.0
        self._way.clear()
        if self._tries >= self._config.attempts and not self._pushed:
            self.phase = Phase.EXHAUSTED
            return
        self._side = side if self._tries == 0 else -self._side
        self._ahead = -1.0 if self._adapter.steady_speed(nominal)[self._forward] < 0.0 else 1.0
        self._tries += 1
        if self._pushed:
            self._ahead = self._pushed
            self.phase, self._begun_s = Phase.BACK, self._time_s
        else:
            self._begin_turn()

    def _begin_turn(self) -> None:
        self.phase, self._begun_s, self._begun_yaw = Phase.TURN, self._time_s, float(self._pose[2])

    def wish(self) -> FloatArray:
        """The effective action (A,) of the try that runs."""
        if self.phase is Phase.TURN:
            return self.turning()
        onwards = 1.0 if self.phase is Phase.DRIVE else -1.0
        return self.effective(self._config.pace * self._ahead * onwards, 0.0)

    def turning(self) -> FloatArray:
        """The effective action (A,) that turns to the side of this try."""
        return self.effective(0.0, self._side)

    def effective(self, forward: float, left: float) -> FloatArray:
        """The effective action (A,) of a share of the top speed ahead, and one of the turn to the left."""
        sign = np.sign(self._adapter.scale)
        shares = np.zeros(self._adapter.action_dim)
        shares[self._forward], shares[self._turn] = forward, left
        shares = shares * sign
        if self._adapter.wheels:
            mean, half = shares
            shares = np.array([mean + half, mean - half])
        return np.asarray(np.clip(shares, -1.0, 1.0), np.float32)

    def sides(self, actions: FloatArray, ahead: float) -> NDArray[np.float64]:
        """(K,) of effective actions (K, A): how far each turns left; 0 if it drives against `ahead`."""
        speed = self._adapter.steady_speed(self._adapter.raw(actions)) / np.asarray(self._adapter.top_speed)
        return np.asarray(np.where(ahead * speed[:, self._forward] >= 0.0, speed[:, self._turn], 0.0))

    def _move(self, executed: FloatArray, dt_s: float, measured: NDArray[np.float64] | None) -> None:
        """Dead reckoning by odometry, or by what the command leads to."""
        self._speed = self._adapter.lagged(self._speed, self._adapter.steady_speed(executed), dt_s)
        if measured is not None and np.isfinite(measured).all():
            self._speed = np.asarray(measured, np.float64).copy()
        v, w = self._speed[self._forward], self._speed[self._turn]
        yaw = self._pose[2] + 0.5 * w * dt_s
        self._pose += dt_s * np.array([v * math.cos(yaw), v * math.sin(yaw), w])
