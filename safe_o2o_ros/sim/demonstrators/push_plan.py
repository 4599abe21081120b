"""What plans are worth, in seconds, in each part of pushing; all prices have shape (K,), float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.sim.demonstrators.model import Trajectories
from safe_o2o_ros.sim.demonstrators.planner import PlannerConfig
from safe_o2o_ros.sim.demonstrators.push_box import (
    CARRIED_M,
    CURVE_1_M,
    LEAN_RAD,
    BoxView,
    carried_bearings,
    hull_gap,
)
from safe_o2o_ros.sim.demonstrators.push_field import WayField
from safe_o2o_ros.sim.demonstrators.push_route import BOX_CLEAR_M, ROBOT_M, Face

if TYPE_CHECKING:
    from safe_o2o_ros.sim.state import PrivilegedState

FloatArray = NDArray[np.float32]

_SPEED_M_S = 1.2
_TURN_RAD_S = 1.8
_GOAL_SPARE_M = 0.02
_SLIP = 6.0
"""Seconds that a radian of slipping beyond a tenth is worth."""
_BOX_IN_HAZARD = 3.0
"""Seconds that a second of the box's centre in a hazard is worth: it costs nothing, but getting out does."""


class Prices:
    """The prices of plans for one way of driving."""

    def __init__(self, config: PlannerConfig, node_s: float) -> None:
        """`node_s`: time between nodes of the trajectories, s."""
        self._config = config
        self._node_s = node_s

    def carry(
        self, paths: Trajectories, state: PrivilegedState, view: BoxView, field: WayField
    ) -> FloatArray:
        """Until the box, carried before the robot, is at the goal; and what striking a pillar is worth."""
        bearings = carried_bearings(view.bearing, paths.yaw)
        far = np.float32(np.clip(np.hypot(view.ahead, view.left), 0.3, CARRIED_M))
        x = np.asarray(paths.x + np.float32(state.position[0]) + far * np.cos(bearings), np.float32)
        y = np.asarray(paths.y + np.float32(state.position[1]) + far * np.sin(bearings), np.float32)
        gx, gy = (np.float32(v) for v in state.goal)
        radius = np.float32(state.goal_radius - _GOAL_SPARE_M)
        outside = np.square(x - gx) + np.square(y - gy) > radius * radius
        outside = np.logical_and.accumulate(outside, axis=1)
        total = outside.sum(axis=1, dtype=np.float32) * np.float32(self._node_s)
        ex, ey, b = x[:, -1], y[:, -1], bearings[:, -1]
        turn = _wrap(field.direction(ex, ey) - b)
        way = np.maximum(field.length(ex, ey) - radius, 0.0)
        speed = paths.vx_end * np.cos(b) + paths.vy_end * np.sin(b)
        left = (
            way / np.float32(_SPEED_M_S) + np.abs(turn) / np.float32(_TURN_RAD_S) - np.float32(0.15) * speed
        )
        total += outside[:, -1] * left
        total += _SLIP * np.maximum(self._slip(paths, bearings) + np.float32(view.slipped()) - 0.1, 0.0)
        for cx, cy in state.hazards.astype(np.float32) if self._config.cost_weight >= 1.0 else ():
            total += self._close(
                np.hypot(x - cx, y - cy), state.hazard_radius + BOX_CLEAR_M, 0.1, _BOX_IN_HAZARD
            )
        for pillar in state.pillars:
            px, py = np.float32(pillar[0]), np.float32(pillar[1])
            # While it is carried the box turns like its bearing.
            gap = hull_gap(px - x, py - y, bearings + np.float32(view.yaw - view.bearing))
            total += self._close(gap, state.pillar_radius, 0.06, 4.0)
        return np.asarray(total + self._pillars(paths, state), np.float32)

    def walk(self, paths: Trajectories, state: PrivilegedState, face: Face, field: WayField) -> FloatArray:
        """Until the robot stands before a notch and looks at it, without touching box and pillars."""
        x, y = paths.x + np.float32(state.position[0]), paths.y + np.float32(state.position[1])
        along = field.length(x[:, ::2], y[:, ::2]).mean(axis=1)
        ex = x[:, -1] + np.float32(0.25) * paths.vx_end
        ey = y[:, -1] + np.float32(0.25) * paths.vy_end
        way = field.length(ex, ey)
        near = np.clip(1.0 - way / np.float32(0.5), 0.0, 1.0)
        # At its end the way has no direction to look in.
        far = np.clip((way - np.float32(0.3)) / np.float32(0.4), 0.0, 1.0)
        ahead = np.abs(_wrap(field.direction(ex, ey) - paths.yaw[:, -1]))
        notch = np.abs(_wrap(np.float32(face.angle) - paths.yaw[:, -1]))
        total = way / np.float32(_SPEED_M_S) + along * np.float32(0.5)
        total += (near * notch + far * ahead) / np.float32(2.0)
        gap = hull_gap(x - np.float32(face.box[0]), y - np.float32(face.box[1]), face.angle)
        total += self._close(gap, ROBOT_M - 0.01, 0.05, 4.0)
        return np.asarray(total + self._pillars(paths, state), np.float32)

    def dock(self, paths: Trajectories, state: PrivilegedState, face: Face) -> FloatArray:
        """Until the robot is in the notch; straight, or the posts are struck."""
        x, y = paths.x + np.float32(state.position[0]), paths.y + np.float32(state.position[1])
        before, left = face.place(x, y)
        lean = np.abs(_wrap(paths.yaw - np.float32(face.angle)))
        way = np.maximum(before - np.float32(CARRIED_M), 0.0)
        each = way + 1.5 * np.abs(left) + 0.15 * lean
        # Inside the notch there is room of an inch or so.
        each += np.where(before < 0.5, 6.0 * np.maximum(np.abs(left) - 0.03, 0.0), 0.0)
        total = each.mean(axis=1) + way[:, -1] + 1.5 * np.abs(left[:, -1]) + 0.3 * lean[:, -1]
        return np.asarray(total + self._pillars(paths, state), np.float32)

    def hazards(self, paths: Trajectories, state: PrivilegedState) -> FloatArray:
        """What being in or near hazards is worth."""
        total = np.zeros(len(paths.x), np.float32)
        if self._config.cost_weight <= 0.0 or not len(state.hazards):
            return total
        gap = np.full_like(paths.x, np.float32(np.inf))
        for cx, cy in (state.hazards - state.position).astype(np.float32):
            np.minimum(gap, np.hypot(paths.x - cx, paths.y - cy), out=gap)
        gap -= np.float32(state.hazard_radius + self._config.inflate_m)
        # The depth term gives a way out when every plan starts inside.
        worth = self._config.cost_weight * ((gap < 0.0) + 5.0 * np.maximum(-gap, 0.0))
        if self._config.margin_weight > 0.0:
            worth = worth + self._config.margin_weight * np.clip(
                1.0 - gap / np.float32(self._config.margin_m), 0.0, 1.0
            )
        return np.asarray(self._node_s * worth.sum(axis=1), np.float32)

    def _slip(self, paths: Trajectories, bearings: FloatArray) -> FloatArray:
        """By how much the box slips towards the edge of the notch, (K,), rad."""
        turned = np.abs(np.diff(paths.yaw, axis=1))
        moved = np.hypot(np.diff(paths.x, axis=1), np.diff(paths.y, axis=1))
        leaning = np.abs(bearings - paths.yaw)[:, 1:] > LEAN_RAD - 0.02
        over = np.maximum(turned - np.float32(CURVE_1_M) * moved, 0.0)
        return np.asarray((leaning * over).sum(axis=1), np.float32)

    def _pillars(self, paths: Trajectories, state: PrivilegedState) -> FloatArray:
        total = np.zeros(len(paths.x), np.float32)
        for cx, cy in (state.pillars - state.position).astype(np.float32):
            total += self._close(
                np.hypot(paths.x - cx, paths.y - cy), state.pillar_radius + ROBOT_M, 0.05, 4.0
            )
        return total

    def _close(self, gap: FloatArray, least: float, margin: float, weight: float) -> FloatArray:
        """Seconds of nodes nearer than `least`, and fewer for those nearer than `margin` more."""
        near = np.clip((np.float32(least + margin) - gap) / np.float32(margin), 0.0, 2.0)
        return np.asarray(np.float32(weight * self._node_s) * near.sum(axis=1), np.float32)


def _wrap(angle: FloatArray) -> FloatArray:
    return np.asarray((angle + np.float32(np.pi)) % np.float32(2.0 * np.pi) - np.float32(np.pi), np.float32)
