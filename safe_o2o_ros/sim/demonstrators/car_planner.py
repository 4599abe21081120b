"""The sampling planner for the Car: its centre keeps off hazards and its hull off vases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.sim.demonstrators.car_model import (
    BACKWARD_S,
    FORWARD_S,
    TOP_SPEED_M_S,
    TOP_TURN_RAD_S,
    CarModel,
)
from safe_o2o_ros.sim.demonstrators.model import Trajectories
from safe_o2o_ros.sim.demonstrators.planner import PlannerConfig, PlanningDemonstrator
from safe_o2o_ros.sim.demonstrators.way_field import WayFields

if TYPE_CHECKING:
    from safe_o2o_ros.sim.state import PrivilegedState

FloatArray = NDArray[np.float32]

HALF_WIDTH_M = 0.16
"""Of the hull along a straight way."""
CAR_PLANNER = PlannerConfig(horizon=10, candidates=64, rounds=(0.6, 0.2), detours=False)
"""1.6 s ahead; the field of least times knows the rest."""
_WALL = 30.0
"""The most that a second inside a cost is worth on the way beyond the horizon."""


class CarPlanner(PlanningDemonstrator):
    """As PlanningDemonstrator, for wheels: a plan is (left, right), and either end may lead."""

    def __init__(self, adapter: RobotAdapter, period_s: float, config: PlannerConfig | None = None) -> None:
        super().__init__(adapter, period_s, config)
        self._model = CarModel(period_s, self._config.horizon)
        self._canned = _canned_plans(self._config.horizon)

    def reset(self, seed: int) -> None:
        """Forget the plan and the field; draw the pool of perturbations."""
        super().reset(seed)
        self._fields = WayFields(TOP_SPEED_M_S)

    def _time(self, paths: Trajectories, state: PrivilegedState) -> FloatArray:
        """Seconds until the goal is reached, (K,); beyond the horizon: turn either end to it, then drive."""
        gx, gy = (np.float32(v) for v in state.goal - state.position)
        radius = np.float32(state.goal_radius - 0.01)
        outside = np.square(paths.x - gx) + np.square(paths.y - gy) > radius * radius
        outside = np.logical_and.accumulate(outside, axis=1)
        spent = outside.sum(axis=1, dtype=np.float32) * np.float32(self._model.node_s)
        ex, ey = paths.x[:, -1], paths.y[:, -1]
        distance = np.hypot(gx - ex, gy - ey)
        if self._config.cost_weight > 0.0:
            obstacles = np.concatenate([state.hazards, state.vases])
            field = self._fields.of(
                state.goal, state.goal_radius, obstacles, lambda x, y: self._slowness(x, y, state)
            )
            px, py = (np.float32(v) for v in state.position)
            left, way = field.look_up(px + ex, py + ey)
        else:
            left = np.maximum(distance - radius, 0.0) / np.float32(TOP_SPEED_M_S)
            way = np.arctan2(gy - ey, gx - ex)
        error = np.abs(np.remainder(way - paths.yaw[:, -1] + np.pi, 2.0 * np.pi) - np.pi)
        free = np.arcsin(np.minimum(radius / np.maximum(distance, radius), 1.0))
        forward = np.maximum(error - free, 0.0) / np.float32(TOP_TURN_RAD_S)
        backward = np.maximum(np.pi - error - free, 0.0) / np.float32(TOP_TURN_RAD_S)
        turn = np.minimum(forward, backward + np.float32(BACKWARD_S - FORWARD_S))
        return np.asarray(spent + outside[:, -1] * (left + turn), np.float32)

    def _slowness(self, x: FloatArray, y: FloatArray, state: PrivilegedState) -> FloatArray:
        """What a second at world points is worth, of a car that drives straight through them."""
        cfg = self._config
        gap = _hazard_gap(x, y, state.hazards, state.hazard_radius)
        for centre, yaw in zip(state.vases, state.vases_yaw, strict=True):
            np.minimum(
                gap, _square_gap(x, y, centre, yaw, state.vase_half_m) - np.float32(HALF_WIDTH_M), out=gap
            )
        gap -= np.float32(cfg.inflate_m)
        slowness = 1.0 + min(cfg.cost_weight, _WALL) * (gap < 0.0)
        if cfg.margin_weight > 0.0:
            slowness = slowness + cfg.margin_weight * np.clip(1.0 - gap / np.float32(cfg.margin_m), 0.0, 1.0)
        return np.asarray(slowness, np.float32)


def _hazard_gap(x: FloatArray, y: FloatArray, centres: NDArray[np.float64], radius: float) -> FloatArray:
    """Metres from points to the nearest of discs, negative inside; shape of `x`."""
    square = np.full(x.shape, 81.0, np.float32)
    for cx, cy in centres.astype(np.float32):
        np.minimum(square, np.square(x - cx) + np.square(y - cy), out=square)
    return np.asarray(np.sqrt(square) - np.float32(radius), np.float32)


def _square_gap(
    x: FloatArray, y: FloatArray, centre: NDArray[np.float64], yaw: float, half: float
) -> FloatArray:
    """Metres from points to a turned square, negative inside; shape of `x`."""
    c, s = np.float32(np.cos(yaw)), np.float32(np.sin(yaw))
    dx, dy = x - np.float32(centre[0]), y - np.float32(centre[1])
    ax = np.abs(c * dx + s * dy) - np.float32(half)
    ay = np.abs(c * dy - s * dx) - np.float32(half)
    inner = np.minimum(np.maximum(ax, ay), 0.0)
    np.maximum(ax, 0.0, out=ax)
    np.maximum(ay, 0.0, out=ay)
    return np.asarray(np.sqrt(ax * ax + ay * ay) + inner, np.float32)


def _canned_plans(horizon: int) -> FloatArray:
    """Turns and arcs that end in a straight line either way, from now on or later, (K, horizon, 2)."""
    plans = []
    for then in ((1.0, 1.0), (-1.0, -1.0)):
        for first in ((1.0, -1.0), (-1.0, 1.0), (1.0, 0.3), (0.3, 1.0), (-1.0, -0.3), (-0.3, -1.0)):
            for switch in (1, 2, 4, 6, 8, 11):
                plan = np.tile(np.array(then, np.float32), (horizon, 1))
                plan[:switch] = first
                plans.append(plan)
            for stretch in (3, 6):
                for switch in (2, 5):
                    for lead in (1.0, -1.0):
                        plan = np.tile(np.array(then, np.float32), (horizon, 1))
                        plan[:stretch] = lead
                        plan[stretch : stretch + switch] = first
                        plans.append(plan)
        plans.append(np.tile(np.array(then, np.float32), (horizon, 1)))
    plans.append(np.zeros((horizon, 2), np.float32))
    return np.stack(plans)
