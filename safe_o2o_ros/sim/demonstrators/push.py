"""Pushing the box to the goal: go round to one of its notches, drive into it, carry the box along."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.sim.demonstrators.base import Source
from safe_o2o_ros.sim.demonstrators.model import PointModel, Trajectories
from safe_o2o_ros.sim.demonstrators.planner import PlannerConfig, smooth_noise, two_piece_plans, unsteadiness
from safe_o2o_ros.sim.demonstrators.push_box import BoxView, wrapped
from safe_o2o_ros.sim.demonstrators.push_plan import Prices
from safe_o2o_ros.sim.demonstrators.push_route import Face, Routes

if TYPE_CHECKING:
    from safe_o2o_ros.sim.state import PrivilegedState

FloatArray = NDArray[np.float32]
Price = Callable[[Trajectories, "PrivilegedState"], FloatArray]

_STUCK_PERIODS = 25
"""So long at the box without moving it, and another face is tried."""
_PROGRESS_M = 0.1
_ANEW_M = 0.25
"""So far the box must have been moved for the choice of a face to be made anew."""
_LEAVE_PERIODS = 12
"""So long the robot then keeps away from the notch it left."""
_LOSING_S = 0.5
"""A plan whose hazards are worth more seconds is no way to carry the box on."""
_CARRY_LEAST, _CARRY_TURN = 0.6, 0.75
"""Least thrust and largest turn, effective, at which the box stays in the notch."""


class PushDemonstrator:
    """Each period: the best of perturbed plans, priced by what has to be done next."""

    source = Source.PLANNER

    def __init__(self, adapter: RobotAdapter, period_s: float, config: PlannerConfig | None = None) -> None:
        self._adapter = adapter
        self._config = config or PlannerConfig()
        self._model = PointModel(period_s, self._config.horizon, substeps=1)
        self._prices = Prices(self._config, self._model.node_s)
        self._canned = _canned_plans(self._config.horizon)
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Forget box, face and plan; draw the pool of perturbations."""
        self._rng = np.random.default_rng(seed)
        self._pool = smooth_noise(self._rng, 1024, self._config.horizon)
        self._plan = np.zeros((self._config.horizon, 2), np.float32)
        self._previous = np.zeros(2, np.float32)
        self._routes = Routes(self._config)
        self._face: Face | None = None
        self._carrying = False
        self._tried = self._leaving = 0
        self._stood: NDArray[np.float64] | None = None

    def act(self, state: PrivilegedState) -> FloatArray:
        """The first action of the best plan, raw, shape (2,), float32."""
        view = BoxView.of(state)
        self._leaving = max(0, self._leaving - 1)
        holds = view.carried() if self._carrying else view.seated()
        self._carrying = holds and self._leaving == 0
        if self._stuck(state):
            self._leave(state, view)
        if self._carrying:
            self._face = None
            field = self._routes.to_goal(state)
            plan, danger = self._search(
                lambda p, s: self._prices.carry(p, s, view, field), state, _CARRY_LEAST, _CARRY_TURN
            )
            if danger > _LOSING_S:
                self._leave(state, view)
        if not self._carrying:
            plan = self._approach(state)
        self._plan = plan
        self._previous = plan[0]
        return self._adapter.raw(plan[0])

    def _approach(self, state: PrivilegedState) -> FloatArray:
        """The best plan towards the notch to push next."""
        face = self._chosen(state)
        if self._leaving == 0 and face.ready(state):
            return self._search(lambda p, s: self._prices.dock(p, s, face), state, -1.0, 1.0)[0]
        field = self._routes.to_face(state, face)
        return self._search(lambda p, s: self._prices.walk(p, s, face, field), state, -1.0, 1.0)[0]

    def _stuck(self, state: PrivilegedState) -> bool:
        """Whether the robot has long been at the box without moving it."""
        box = state.box[0]
        if self._stood is None or float(np.hypot(*(box - self._stood))) > _PROGRESS_M:
            self._stood, self._tried = box.copy(), 0
        busy = self._carrying or (self._face is not None and self._face.ready(state))
        self._tried += int(busy and self._leaving == 0)
        return self._tried >= _STUCK_PERIODS

    def _leave(self, state: PrivilegedState, view: BoxView) -> None:
        """Let go of the box, to push it from another side."""
        self._tried, self._leaving = 0, _LEAVE_PERIODS
        self._carrying = False
        self._face = self._routes.best_face(state, shun=view.yaw)

    def _chosen(self, state: PrivilegedState) -> Face:
        """The face to push next; chosen anew when the box has moved."""
        if self._face is None or self._face.moved(state) > _ANEW_M:
            self._face = self._routes.best_face(state)
        return self._face.followed(state)

    def _search(
        self, price: Price, state: PrivilegedState, least: float, turn: float
    ) -> tuple[FloatArray, float]:
        """The best plan, (horizon, 2), with thrust from `least` to 1 and turns up to `turn`; its hazards."""
        cfg = self._config
        low, high = np.array([least, -turn], np.float32), np.array([1.0, turn], np.float32)
        plan = np.clip(np.concatenate([self._plan[1:], self._plan[-1:]]), low, high)
        for number, spread in enumerate(cfg.rounds):
            start = int(self._rng.integers(len(self._pool) - cfg.candidates))
            tried = plan + spread * self._pool[start : start + cfg.candidates]
            parts = (plan[None], tried, self._canned) if number == 0 else (plan[None], tried)
            plans = np.clip(np.concatenate(parts), low, high)
            worth, danger = self._worth(plans, price, state)
            best = int(np.argmin(worth))
            plan = plans[best]
        return plan, float(danger[best])

    def _worth(
        self, plans: FloatArray, price: Price, state: PrivilegedState
    ) -> tuple[FloatArray, FloatArray]:
        """Seconds that each plan is worth, (K,), less is better; and those of hazards among them."""
        velocity = (float(state.velocity[0]), float(state.velocity[1]))
        paths = self._model.predict(plans, wrapped(float(state.yaw)), float(state.yaw_rate), velocity)
        total = price(paths, state) + self._config.smoothness * unsteadiness(plans, self._previous)
        danger = self._prices.hazards(paths, state)
        return total + danger, danger


def _canned_plans(horizon: int) -> FloatArray:
    """Plans that find a way the perturbations miss, (K, horizon, 2)."""
    turns, thens = (-1.0, -0.4, 0.0, 0.4, 1.0), ((1.0, 0.0), (0.0, 0.0), (1.0, -0.6), (1.0, 0.6))
    return two_piece_plans(horizon, (6,), (-1.0, 0.5, 1.0), turns, thens)
