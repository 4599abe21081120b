"""From a point to head for to a velocity that can still be braked in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.sim.demonstrators.room.grid import RoomMap
from safe_o2o_ros.sim.demonstrators.room.sight import wrapped
from safe_o2o_ros.sim.room.state import FloatArray, RoomState

_TURN_GAIN = 2.0
"""rad/s for each rad of heading error."""
_TURN_RATE = 1.5
"""Fastest turn, rad/s: images of a faster one say little."""
_AHEAD_RAD = 1.0
"""Heading error from which the robot turns in place."""
_HOLD_S = 0.3
"""How long a command is taken to last before the robot brakes; longer than a control period."""
_TRACKING_M = 0.015
"""How far from its way the robot may come where there is no more room."""
_LEAST_M = 0.005
_NODE_S = 0.05
_NODES = 18
_LATTICE = np.array(
    [(v, w) for v in (-0.3, 0.0, 0.15, 0.3, 0.5, 0.75, 1.0) for w in np.linspace(-0.8, 0.8, 9)]
)
"""Velocities tried in place of one that is refused, as shares of the top speeds."""


@dataclass(frozen=True)
class Steering:
    """Velocities of one robot; all clearances are of its disc, metres."""

    adapter: RobotAdapter
    radius_m: float
    margin_m: float
    """A command must leave this clearance until the robot stands; below 0: not checked."""
    slow_m: float
    """Below this clearance ahead the robot slows down; 0: never."""
    crawl: float = 0.35
    """Share of the top speed where the clearance is nothing."""

    def towards(self, state: RoomState, point: FloatArray, room: RoomMap) -> FloatArray:
        """Velocity (m/s, rad/s), shape (2,), that heads for `point`, (2,)."""
        offset = point - state.position
        error = float(wrapped(np.arctan2(offset[1], offset[0]) - state.yaw))
        turn = float(np.clip(_TURN_GAIN * error, -_TURN_RATE, _TURN_RATE))
        speed = self.adapter.top_speed[0] * max(0.0, 1.0 - abs(error) / _AHEAD_RAD)
        if self.slow_m > 0.0:
            speed *= self._slowing(state, room)
        return np.array([speed, turn])

    def checked(self, state: RoomState, wanted: FloatArray, room: RoomMap, room_m: float) -> FloatArray:
        """`wanted`, or the nearest velocity after which the robot can stop without coming too near.

        `room_m`: least clearance of the way's next part; a gap narrower than the margin is still a way.
        """
        if self.margin_m < 0.0:
            return wanted
        margin = float(np.clip(room_m - _TRACKING_M, _LEAST_M, self.margin_m))
        if self._least(state, wanted[None], room)[0] >= margin:
            return wanted
        top = np.array(self.adapter.top_speed)
        tried = _LATTICE * top
        least = self._least(state, tried, room)
        gap = np.abs((tried - wanted) / top) @ np.array([1.0, 0.5])
        fits = least >= margin
        best = np.argmin(np.where(fits, gap, np.inf)) if fits.any() else np.argmax(least - 0.01 * gap)
        return np.asarray(tried[int(best)])

    def _slowing(self, state: RoomState, room: RoomMap) -> float:
        """Share of the top speed that the clearance ahead allows."""
        heading = np.array([np.cos(state.yaw), np.sin(state.yaw)])
        ahead = state.position + np.array([[0.0], [0.15], [0.3]]) * heading
        clearance = float(room.lookup(ahead).min()) - self.radius_m
        return float(np.clip(self.crawl + (1.0 - self.crawl) * clearance / self.slow_m, self.crawl, 1.0))

    def _least(self, state: RoomState, velocities: FloatArray, room: RoomMap) -> FloatArray:
        """Least clearance while each velocity, (k, 2), is held and then braked, (k,), m."""
        heading = np.array([np.cos(state.yaw), np.sin(state.yaw)])
        now = np.array([float(state.velocity @ heading), float(state.yaw_rate)])
        limit = np.array(self.adapter.max_accel) * np.array(self.adapter.top_speed) * _NODE_S
        rate = np.broadcast_to(now, velocities.shape).copy()
        angle = np.full(len(velocities), float(state.yaw))
        places = np.empty((_NODES, len(velocities), 2))
        place = state.position
        for node in range(_NODES):
            aim = velocities if node * _NODE_S < _HOLD_S else 0.0
            rate += np.minimum(np.maximum(aim - rate, -limit), limit)
            angle += rate[:, 1] * _NODE_S
            place = place + (rate[:, :1] * _NODE_S) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
            places[node] = place
        return np.asarray(room.lookup(places).min(axis=0) - self.radius_m)
