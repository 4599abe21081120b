"""Drives to the goal of RoomNav once it has been in sight, and looks for it before that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.sim.demonstrators.base import Source
from safe_o2o_ros.sim.demonstrators.room.grid import Caution, RoomMap, Way
from safe_o2o_ros.sim.demonstrators.room.search import Search
from safe_o2o_ros.sim.demonstrators.room.sight import goal_in_sight
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
        return self._seen

    def reset(self, seed: int) -> None:
        """Forget the room; nothing is drawn, so the seed does not matter."""
        self._room: RoomMap | None = None
        self._search: Search | None = None
        self._way: Way | None = None
        self._seen = False
        self._promised = 0
        self._turned = 0.0
        self._turning = True

    def act(self, state: RoomState) -> NDArray[np.float32]:
        """See Demonstrator."""
        if self._room is None:
            self._begin(state)
        assert self._room is not None and self._search is not None
        if not self._seen and goal_in_sight(state):
            self._seen, self._turning, self._way = True, False, None
        if not self._seen:
            self._search.look(state)
            if self._turning and self._keep_turning(state):
                return self._raw(np.array([0.0, _LOOK_ROUND_RAD_S]))
        way = self._choose(state)
        if way is None:
            return self._raw(np.array([0.0, _LOOK_ROUND_RAD_S]))
        path = way.trace(state.position, _AHEAD_M)
        wanted = self._steering.towards(state, self._point(way, path, state), self._room)
        near = path[:_CLOSE_NODES] if len(path) else state.position[None]
        gap = float(self._room.lookup(near).min()) - state.robot_radius_m
        return self._raw(self._steering.checked(state, wanted, self._room, gap))

    def _begin(self, state: RoomState) -> None:
        manner, radius = self._manner, state.robot_radius_m
        self._room = RoomMap(state.half_size, state.obstacles)
        self._search = Search(self._room, state)
        self._steering = Steering(self._adapter, radius, manner.margin_m, manner.slow_m)
        tight = radius + manner.spare_m
        self._caution = Caution(
            closed_m=min(tight, 0.6 * radius),
            tight_m=tight,
            wide_m=max(radius + manner.wide_m, tight + 0.01),
            weight=manner.weight,
        )

    def _keep_turning(self, state: RoomState) -> bool:
        """Look round until that shows nothing new."""
        assert self._search is not None
        self._turned += abs(state.yaw_rate) * state.control_step_s
        self._turning = self._turned < _FULL_TURN_RAD and self._search.worth_turning(state.position)
        return self._turning

    def _choose(self, state: RoomState) -> Way | None:
        """The way to the goal, or to the next place to look from."""
        assert self._room is not None and self._search is not None
        if self._seen:
            if self._way is None:
                self._way = Way(self._room, state.goal, self._caution)
            return self._way
        if self._way is not None:
            near = float(np.hypot(*(self._way.target - state.position))) < _THERE_M
            if near or self._search.shows(self._way.target) < self._promised // 4:
                self._way = None
                self._turning, self._turned = True, 0.0
                if self._keep_turning(state):
                    return None
        if self._way is None:
            stand = self._search.next_stand(Way(self._room, state.position, self._caution))
            if stand is not None:
                self._promised = self._search.shows(stand)
                self._way = Way(self._room, stand, self._caution)
        return self._way

    def _point(self, way: Way, path: FloatArray, state: RoomState) -> FloatArray:
        """The farthest point of the way that a straight line with the way's own clearance reaches."""
        assert self._room is not None
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

    def _raw(self, velocity: FloatArray) -> NDArray[np.float32]:
        return self._adapter.raw(np.asarray(velocity / np.array(self._adapter.top_speed), np.float32))
