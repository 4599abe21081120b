"""A sampling planner for the Point robot: safe, bold and careless driving by the weight of what costs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.sim.demonstrators.base import Source
from safe_o2o_ros.sim.demonstrators.model import (
    TIME_CONSTANT_S,
    TOP_SPEED_M_S,
    MotionModel,
    PointModel,
    Trajectories,
)
from safe_o2o_ros.sim.demonstrators.obstacles import Obstacles
from safe_o2o_ros.sim.demonstrators.way import Way

if TYPE_CHECKING:
    from safe_o2o_ros.sim.state import PrivilegedState

FloatArray = NDArray[np.float32]

_DRIFT_ROUNDS = 4
"""Iterations that settle the remaining time to about a hundredth of a second."""


@dataclass(frozen=True)
class PlannerConfig:
    """What a plan is worth, in seconds of time to the goal."""

    cost_weight: float = 100.0
    """Seconds that a second inside or touching what costs is worth; 0 = blind to it."""
    margin_weight: float = 1.0
    """Seconds that a second at the edge of what costs is worth; falls to 0 at the margin."""
    margin_m: float = 0.06
    """Distance to what costs that counts as close, metres."""
    inflate_m: float = 0.02
    """How much larger than real what costs is taken, metres; covers the model's error."""
    way_m: float = 0.02
    """How much larger than real what costs is taken on the way beyond the plan, metres."""
    room: tuple[float, ...] = (1.0,)
    """Shares of these three distances, tried in turn until one leaves a way; with `detours` only."""
    block_weight: float = 1.0
    """Seconds that a second inside what stands firm is worth: the model drives through it."""
    detours: bool = True
    """Whether the way beyond the plan goes around what costs; else it is straight."""
    horizon: int = 14
    """Length of a plan, periods."""
    candidates: int = 96
    """Perturbed plans a round."""
    rounds: tuple[float, ...] = (0.8, 0.35, 0.12)
    """Standard deviation of the perturbation in each round, effective units."""
    smoothness: float = 0.004
    """Seconds for each unit of squared change between actions."""


class PlanningDemonstrator:
    """Each period: the best of perturbed, shifted and canned plans on the analytic model."""

    source = Source.PLANNER

    def __init__(self, adapter: RobotAdapter, period_s: float, config: PlannerConfig | None = None) -> None:
        self._adapter = adapter
        self._config = config or PlannerConfig()
        self._model: MotionModel = PointModel(period_s, self._config.horizon)
        self._canned = _canned_plans(self._config.horizon)
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Forget the plan; draw the pool of perturbations."""
        self._rng = np.random.default_rng(seed)
        self._pool = smooth_noise(self._rng, 2048, self._config.horizon)
        self._plan = np.zeros((self._config.horizon, 2), np.float32)
        self._previous = np.zeros(2, np.float32)
        self._way = Way()
        self._room = 1.0

    def act(self, state: PrivilegedState) -> FloatArray:
        """The first action of the best plan, raw, shape (2,), float32."""
        plan = np.concatenate([self._plan[1:], self._plan[-1:]])
        obstacles = Obstacles(state, self._model.times_s)
        if self._config.detours:
            self._room = self._way.look(state, self._config.way_m, self._config.room)
        for number, spread in enumerate(self._config.rounds):
            start = int(self._rng.integers(len(self._pool) - self._config.candidates))
            tried = plan + spread * self._pool[start : start + self._config.candidates]
            np.clip(tried, -1.0, 1.0, out=tried)
            parts = (plan[None], tried, self._canned) if number == 0 else (plan[None], tried)
            plans = np.concatenate(parts)
            plan = plans[int(np.argmin(self.price(plans, state, obstacles)))]
        self._plan = plan
        self._previous = plan[0]
        return self._adapter.raw(plan[0])

    def price(self, plans: FloatArray, state: PrivilegedState, obstacles: Obstacles) -> FloatArray:
        """Seconds each plan is worth, shape (K,), float32; less is better. Plans are (K, horizon, 2)."""
        velocity = (float(state.velocity[0]), float(state.velocity[1]))
        paths = self._model.predict(plans, float(state.yaw), float(state.yaw_rate), velocity)
        total = self._time(paths, state)
        total += self._config.smoothness * unsteadiness(plans, self._previous)
        return total + self._danger(paths, obstacles)

    def _time(self, paths: Trajectories, state: PrivilegedState) -> FloatArray:
        """Seconds until the goal is reached, (K,); beyond the horizon estimated.

        The velocity drifts the robot by w = tau (1 - exp(-t / tau)) times itself, and thrust in one
        direction adds top * (t - w), so the remaining time solves t = w + (|c - p - w v| + d - r) / top,
        where c is the next corner of the way, and d the way from there to the goal.
        The time to turn the thrust axis (either end) into that direction is added.
        """
        gx, gy = (np.float32(v) for v in state.goal - state.position)
        radius = np.float32(state.goal_radius) - np.float32(0.01)
        outside = np.square(paths.x - gx) + np.square(paths.y - gy) > radius * radius
        outside = np.logical_and.accumulate(outside, axis=1)
        spent = outside.sum(axis=1, dtype=np.float32) * np.float32(self._model.node_s)
        tau, top = np.float32(TIME_CONSTANT_S), np.float32(TOP_SPEED_M_S)
        cx, cy, rest = self._way.onward(paths.x[:, -1], paths.y[:, -1], state)
        ex, ey = cx - paths.x[:, -1], cy - paths.y[:, -1]
        drift = np.full(len(ex), tau, np.float32)
        for _ in range(_DRIFT_ROUNDS):
            dx, dy = ex - drift * paths.vx_end, ey - drift * paths.vy_end
            left = drift + np.maximum(np.hypot(dx, dy) + rest - radius, 0.0) / top
            drift = np.asarray(tau * (1.0 - np.exp(-left / tau)), np.float32)
        heading = np.arctan2(dy, dx) - paths.yaw[:, -1]
        turn = np.arcsin(np.minimum(np.abs(np.sin(heading)), 1.0)) / np.float32(3.0)
        return np.asarray(spent + outside[:, -1] * (left + turn), np.float32)

    def _danger(self, paths: Trajectories, obstacles: Obstacles) -> FloatArray:
        """Seconds that being in or near what costs or blocks is worth, (K,)."""
        cfg = self._config
        total = np.zeros(len(paths.x), np.float32)
        if cfg.cost_weight > 0.0:
            inflate, margin = self._room * cfg.inflate_m, self._room * cfg.margin_m
            gap = obstacles.costs(paths.x, paths.y, paths.yaw, inflate + margin) - np.float32(inflate)
            total += cfg.cost_weight * _inside(gap)
            if cfg.margin_weight > 0.0:
                close = np.clip(1.0 - gap / np.float32(margin), 0.0, 1.0).sum(axis=1)
                total += cfg.margin_weight * close
        if cfg.block_weight > 0.0:
            total += cfg.block_weight * _inside(obstacles.blocks(paths.x, paths.y, paths.yaw, 0.0))
        return np.asarray(np.float32(self._model.node_s) * total, np.float32)


def _inside(gap: FloatArray) -> FloatArray:
    """Number of nodes with a negative gap, (K,); the depth added to it gives a way out of the inside."""
    return np.asarray((gap < 0.0).sum(axis=1) - 5.0 * np.minimum(gap, 0.0).sum(axis=1), np.float32)


def unsteadiness(plans: FloatArray, previous: FloatArray) -> FloatArray:
    """Squared changes between the actions of plans (K, horizon, 2), from `previous` (2,) on; (K,)."""
    steps = np.diff(plans, axis=1)
    first = plans[:, 0] - previous
    return np.asarray(np.einsum("kti,kti->k", steps, steps) + np.einsum("ki,ki->k", first, first), np.float32)


def smooth_noise(rng: np.random.Generator, count: int, horizon: int) -> FloatArray:
    """Perturbations with unit variance and correlation over about three periods, (count, horizon, 2)."""
    white = rng.standard_normal((count, horizon + 4, 2)).astype(np.float32)
    summed = np.cumsum(white, axis=1)
    return np.asarray((summed[:, 4:] - summed[:, :-4]) / 2.0, np.float32)


def two_piece_plans(
    horizon: int,
    switches: Sequence[int],
    drives: Sequence[float],
    turns: Sequence[float],
    thens: Sequence[tuple[float, float]],
) -> FloatArray:
    """All plans of one action, (drive, turn), until a switch and of another then, (K, horizon, 2)."""
    plans = []
    for switch, drive, turn, then in itertools.product(switches, drives, turns, thens):
        plan = np.empty((horizon, 2), np.float32)
        plan[:switch] = (drive, turn)
        plan[switch:] = then
        plans.append(plan)
    return np.stack(plans)


def _canned_plans(horizon: int) -> FloatArray:
    """Plans that find a way the perturbations miss, (K, horizon, 2)."""
    turns, thens = (-1.0, -0.4, 0.0, 0.4, 1.0), ((1.0, 0.0), (-1.0, 0.0), (1.0, -0.5), (1.0, 0.5))
    return two_piece_plans(horizon, (3, 7), (-1.0, 0.0, 1.0), turns, thens)
