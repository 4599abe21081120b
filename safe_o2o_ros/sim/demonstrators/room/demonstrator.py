"""Drives to the goal of RoomNav once it has been in sight, and looks for it before that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.sim.demonstrators.base import Source
from safe_o2o_ros.sim.demonstrators.room.grid import Caution, RoomMap, Way
from safe_o2o_ros.sim.demonstrators.room.search import Search
from safe_o2o_ros.sim.demonstrators.room.sight import goal_in_sight, wrapped
from safe_o2o_ros.sim.demonstrators.room.steering import Steering
from safe_o2o_ros.sim.room.state import FloatArray, RoomState

_LOOK_ROUND_RAD_S = 1.2
"""Always to the left, so that the images say what to do."""
_FULL_TURN_RAD = np.radians(200.0)
"""Front and back camera have seen everything after this."""
_THERE_M = 0.2
"""A place to look from is reached at this distance."""
_AHEAD_M = 0.9
"""Farthest point of the way that is headed for."""

_CLOSE_NODES = 9
"""Nodes of the way whose clearance says how near things the robot must come."""


@dataclass(frozen=True)
class Manner:
    """How carefully a demonstrator drives; distances in metres."""

    spare_m: float
    """Room between the robot's disc and things that a way keeps where it can; may be negative."""
    wide_m: float
    """Such room beyond which a way costs nothing extra."""
    weight: float
    """Extra cost of a metre without that room, metres."""
    margin_m: float
    """See Steering."""
    slow_m: float
    """See Steering."""


SAFE = Manner(spare_m=0.06, wide_m=0.3, weight=3.0, margin_m=0.04, slow_m=0.2)
WIDE = Manner(spare_m=0.12, wide_m=0.45, weight=4.0, margin_m=0.1, slow_m=0.35)
CARELESS = Manner(spare_m=-0.05, wide_m=0.0, weight=0.0, margin_m=-1.0, slow_m=0.0)


class RoomDemonstrator:
    """Knows the room, but not where the goal is until a camera could have seen it."""

    source = Source.PLANNER

    def __init__(self, adapter: RobotAdapter, manner: Manner = SAFE) -> None:
        self._adapter = adapter
        self._manner = manner
        self.reset(0)

    @property
    def seen(self) -> bool:
        """Whether the goal has been in sight in this episode."""
        return self._errand is not None and self._errand.seen

    def reset(self, seed: int) -> None:
        """Forget the room; nothing is drawn, so the seed does not matter."""
        self._errand: _Errand | None = None

    def act(self, state: RoomState) -> NDArray[np.float32]:
        """See Demonstrator."""
        if self._errand is None:
            self._errand = _Errand(self._adapter, self._manner, state)
        velocity = self._errand.velocity(state)
        return self._adapter.raw(np.asarray(velocity / np.array(self._adapter.top_speed), np.float32))


class _Errand:
    """One episode: what is known of its room, and what is being done."""

    def __init__(self, adapter: RobotAdapter, manner: Manner, state: RoomState) -> None:
        radius = state.robot_radius_m
        tight = radius + manner.spare_m
        self.seen = False
        self._caution = Caution(
            closed_m=min(tight, 0.6 * radius),
            tight_m=tight,
            wide_m=max(radius + manner.wide_m, tight + 0.01),
            weight=manner.weight,
        )
        self._room = RoomMap(state.half_size, state.obstacles)
        self._search = Search(self._room, state)
        self._steering = Steering(adapter, radius, manner.margin_m, manner.slow_m)
        self._way: Way | None = None
        self._promised = 0
        """Places that a look from the end of the way was to show."""
        self._turning, self._turned, self._yaw = True, 0.0, state.yaw

    def velocity(self, state: RoomState) -> FloatArray:
        """The velocity (m/s, rad/s) for the coming period, (2,)."""
        if not self.seen and goal_in_sight(state):
            self.seen, self._way = True, Way(self._room, state.goal, self._caution)
        if not self.seen:
            self._search.look(state)
            if not (self._turning and self._keep_turning(state)):
                self._next_way(state)
        if self._way is None:
            return np.array([0.0, _LOOK_ROUND_RAD_S])
        path = self._way.trace(state.position, _AHEAD_M)
        wanted = self._steering.towards(state, self._point(self._way, path, state), self._room)
        near = path[:_CLOSE_NODES] if len(path) else state.position[None]
        gap = float(self._room.lookup(near).min()) - state.robot_radius_m
        return self._steering.checked(state, wanted, self._room, gap)

    def _keep_turning(self, state: RoomState) -> bool:
        """Look round until that shows nothing new."""
        self._turned += abs(float(wrapped(state.yaw - self._yaw)))
        self._yaw = state.yaw
        self._turning = self._turned < _FULL_TURN_RAD and self._search.worth_turning(state.position)
        return self._turning

    def _next_way(self, state: RoomState) -> None:
        """Go on to the place to look from; look round there, or once it would show little; choose another."""
        if self._way is not None:
            near = float(np.hypot(*(self._way.target - state.position))) < _THERE_M
            if not near and self._search.shows(self._way.target) >= self._promised // 4:
                return
            self._way = None
            self._turned, self._yaw = 0.0, state.yaw
            if self._keep_turning(state):
                return
        stand = self._search.next_stand(Way(self._room, state.position, self._caution))
        if stand is not None:
            self._promised = self._search.shows(stand)
            self._way = Way(self._room, stand, self._caution)

    def _point(self, way: Way, path: FloatArray, state: RoomState) -> FloatArray:
        """The farthest point of the way that a straight line with the way's own clearance reaches."""
        if len(path) < 2:
            return way.target
        if float(np.hypot(*(path[-1] - way.target))) < 0.5 * _AHEAD_M and len(path) * 0.05 < _AHEAD_M:
            path = np.concatenate([path, way.target[None]])
        least = np.minimum.accumulate(self._room.lookup(path))
        enough = np.minimum(least - 0.01, self._caution.tight_m + 0.06)
        share = np.linspace(0.0, 1.0, 12)[1:]
        ends = path[::-2]
        lines = state.position + share[None, :, None] * (ends - state.position)[:, None, :]
        free = self._room.lookup(lines).min(axis=1) >= np.minimum(
            enough[::-2], float(self._room.lookup(state.position[None])[0]) - 0.005
        )
        return np.asarray(ends[int(np.argmax(free))] if free.any() else path[min(2, len(path) - 1)])
