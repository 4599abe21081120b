"""Pushing the box to the goal: go round to one of its notches, drive into it, carry the box along."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.sim.demonstrators.base import Source
from safe_o2o_ros.sim.demonstrators.model import PointModel, Trajectories
from safe_o2o_ros.sim.demonstrators.planner import PlannerConfig
from safe_o2o_ros.sim.demonstrators.push_box import BoxView, wrapped
from safe_o2o_ros.sim.demonstrators.push_plan import carry_price, dock_price, hazard_price, walk_price
from safe_o2o_ros.sim.demonstrators.push_route import Face, Routes

if TYPE_CHECKING:
    from safe_o2o_ros.sim.state import PrivilegedState

FloatArray = NDArray[np.float32]
Price = Callable[[Trajectories, "PrivilegedState"], FloatArray]

_STUCK_PERIODS = 12
"""So long without moving the box, and another face is tried."""
_STUCK_M_S = 0.06
_LEAVE_PERIODS = 12
"""So long the robot then keeps away from the notch it left."""
_CARRY_LEAST, _CARRY_TURN = 0.45, 0.75
"""Least thrust and largest turn, effective, at which the box stays in the notch."""


class PushDemonstrator:
    """Each period: the best of perturbed plans, priced by what has to be done next."""

    source = Source.PLANNER

    def __init__(self, adapter: RobotAdapter, period_s: float, config: PlannerConfig | None = None) -> None:
        self._adapter = adapter
        self._config = config or PlannerConfig()
        self._model = PointModel(period_s, self._config.horizon)
        self._canned = _canned_plans(self._config.horizon)
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Forget box, face and plan; draw the pool of perturbations."""
        self._rng = np.random.default_rng(seed)
        white = self._rng.standard_normal((1024, self._config.horizon + 4, 2)).astype(np.float32)
        summed = np.cumsum(white, axis=1)
        self._pool = (summed[:, 4:] - summed[:, :-4]) / np.float32(2.0)
        self._plan = np.zeros((self._config.horizon, 2), np.float32)
        self._previous = np.zeros(2, np.float32)
        self._routes = Routes(self._config)
        self._face: Face | None = None
        self._carrying = False
        self._still = self._leaving = 0

    def act(self, state: PrivilegedState) -> FloatArray:
        """The first action of the best plan, raw, shape (2,), float32."""
        view = BoxView.of(state)
        self._watch(state, view)
        if self._carrying:
            field = self._routes.to_goal(state)
            plan = self._search(lambda p, s: carry_price(p, s, view, field), state, _CARRY_LEAST, _CARRY_TURN)
        else:
            face = self._chosen(state)
            if self._leaving == 0 and face.ready(state):
                plan = self._search(lambda p, s: dock_price(p, s, face), state, -1.0, 1.0)
            else:
                field = self._routes.to_face(state, face)
                plan = self._search(lambda p, s: walk_price(p, s, face, field), state, -1.0, 1.0)
        self._plan = plan
        self._previous = plan[0]
        return self._adapter.raw(plan[0])

    def _watch(self, state: PrivilegedState, view: BoxView) -> None:
        """Notice when the box is in the notch, has left it, or moves no more."""
        self._leaving = max(0, self._leaving - 1)
        self._carrying = view.carried() and self._leaving == 0
        slow = float(np.hypot(*state.box_velocity[0])) < _STUCK_M_S
        self._still = self._still + 1 if self._carrying and slow else 0
        if self._carrying:
            self._face = None
        if self._still >= _STUCK_PERIODS:
            self._still, self._leaving = 0, _LEAVE_PERIODS
            self._carrying = False
            self._face = self._routes.best_face(state, shun=view.yaw)

    def _chosen(self, state: PrivilegedState) -> Face:
        """The face to push next; chosen anew when the box has moved."""
        if self._face is None or self._face.moved(state):
            self._face = self._routes.best_face(state)
        return self._face

    def _search(self, price: Price, state: PrivilegedState, least: float, turn: float) -> FloatArray:
        """The best plan, (horizon, 2), with thrust from `least` to 1 and turns up to `turn`."""
        cfg = self._config
        low, high = np.array([least, -turn], np.float32), np.array([1.0, turn], np.float32)
        plan = np.clip(np.concatenate([self._plan[1:], self._plan[-1:]]), low, high)
        for number, spread in enumerate(cfg.rounds):
            start = int(self._rng.integers(len(self._pool) - cfg.candidates))
            tried = plan + spread * self._pool[start : start + cfg.candidates]
            parts = (plan[None], tried, self._canned) if number == 0 else (plan[None], tried)
            plans = np.clip(np.concatenate(parts), low, high)
            plan = plans[int(np.argmin(self._worth(plans, price, state)))]
        return plan

    def _worth(self, plans: FloatArray, price: Price, state: PrivilegedState) -> FloatArray:
        """Seconds that each plan is worth, (K,); less is better."""
        velocity = (float(state.velocity[0]), float(state.velocity[1]))
        paths = self._model.predict(plans, wrapped(float(state.yaw)), float(state.yaw_rate), velocity)
        steps = np.diff(plans, axis=1)
        first = plans[:, 0] - self._previous
        jerk = np.einsum("kti,kti->k", steps, steps) + np.einsum("ki,ki->k", first, first)
        total = price(paths, state) + self._config.smoothness * jerk
        return total + hazard_price(paths, state, self._config, self._model.node_s)


def _canned_plans(horizon: int) -> FloatArray:
    """Two-piece constant plans that find a way the perturbations miss, (K, horizon, 2)."""
    plans = []
    for switch in (4, 8):
        for drive in (-1.0, 0.5, 1.0):
            for turn in (-1.0, -0.4, 0.0, 0.4, 1.0):
                for then in ((1.0, 0.0), (0.0, 0.0), (1.0, -0.6), (1.0, 0.6)):
                    plan = np.empty((horizon, 2), np.float32)
                    plan[:switch] = (drive, turn)
                    plan[switch:] = then
                    plans.append(plan)
    return np.stack(plans)
