"""A bundle drives, a teacher takes over where it goes wrong: data of the states the policy gets itself into.

Demonstrations alone show no way out of mistakes that their driver never makes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.sim.demonstrators import Demonstrator
from safe_o2o_ros.sim.demonstrators.base import Source
from safe_o2o_ros.sim.demonstrators.obstacles import clearance_m
from safe_o2o_ros.sim.state import PrivilegedState

_GUARD_M = (-0.01, 0.12)
"""For each episode the clearance below which the teacher takes over: before the touch, or after it."""
_CLEAR_M = 0.12
_LEAST_PERIODS, _STUCK_PERIODS = 12, 40
_STUCK_M, _STUCK_RAD = 0.1, 0.5
_AT_RANDOM = 0.004
"""Share of the periods in which the teacher takes over for no reason: what would it do here?"""


class Supervised:
    """A Demonstrator that mostly lets a bundle drive; call `look` with the images before each `act`."""

    def __init__(self, teacher: Demonstrator, policy: Any, env: Any) -> None:
        """`policy`: a BundleDriver for `env`."""
        self._teacher, self._policy, self._env = teacher, policy, env
        self.reset(0)

    @property
    def source(self) -> Source:
        """Who drove last."""
        return self._teacher.source if self._hold > 0 else Source.POLICY

    def reset(self, seed: int) -> None:
        """See Demonstrator."""
        self._teacher.reset(seed)
        self._policy.reset(seed)
        self._rng = np.random.default_rng([seed, 3])
        self._guard_m = float(self._rng.uniform(*_GUARD_M))
        self._hold = 0
        """Periods the teacher still drives, the present one included."""
        self._poses: deque[NDArray[np.float64]] = deque(maxlen=_STUCK_PERIODS)
        self._stamp_ns = 0
        self._observation: dict[str, Any] = {}

    def look(self, observation: dict[str, Any]) -> None:
        """The images the coming action answers."""
        self._observation = observation

    def act(self, state: Any) -> NDArray[np.float32]:
        """The action of whoever drives. Both always think, so that neither loses the thread."""
        self._stamp_ns += 1
        taught = self._teacher.act(state)
        own = self._policy.act(self._observation, self._env, self._stamp_ns).decision.action
        clearance = float(clearances([state])["clearance"][0])
        self._poses.append(np.array([*state.position, state.yaw]))
        self._hold -= 1
        if clearance < self._guard_m or self._stuck() or self._rng.random() < _AT_RANDOM:
            self._hold = max(self._hold, _LEAST_PERIODS)
            self._poses.clear()
        elif self._hold == 0 and clearance < _CLEAR_M:
            self._hold = 1
        self._hold = max(self._hold, 0)
        action = taught if self._hold > 0 else own
        self._policy.executed(action)
        return np.asarray(action, np.float32)

    def _stuck(self) -> bool:
        """Neither moved nor turned for a while."""
        if len(self._poses) < _STUCK_PERIODS:
            return False
        spread = np.ptp(np.unwrap(np.array(self._poses), axis=0), axis=0)
        return bool(np.hypot(spread[0], spread[1]) < _STUCK_M and spread[2] < _STUCK_RAD)


def clearances(states: Sequence[Any]) -> dict[str, NDArray[np.float32]]:
    """How near the robot came to whatever costs in its task, metres, one row a frame, negative inside.

    Column "clearance"; see `clearance_m` of the benchmark's states (sim/demonstrators/obstacles.py) and of
    the room's.
    """
    return {"clearance": np.array([_clearance_m(s) for s in states], np.float32)}


def _clearance_m(state: Any) -> float:
    return clearance_m(state) if isinstance(state, PrivilegedState) else float(state.clearance_m)
