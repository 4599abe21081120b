"""How far a robot is, now or along plans, from what costs and from what stands in its way; for any robot.

A hazard counts with the robot's centre, everything else by contact with the robot's hull, which is a few
discs. Where gremlins and moving hazards will be is known from the true state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from safe_o2o_ros.sim.state import PrivilegedState

FloatArray = NDArray[np.float32]

NOWHERE_M = 10.0
"""The clearance where nothing costs."""
_PULL_S = 0.2
"""Time constant in which a gremlin that was knocked off its circle is pulled back to it."""
_CENTRE = ((0.0, 0.0, 0.0),)


@dataclass(frozen=True)
class _Things:
    """Alike things; positions in world axes relative to the robot's, m."""

    x: FloatArray
    """(n, 1) of standing ones, (n, N) of moving ones at each node."""
    y: FloatArray
    yaw: FloatArray
    """(n,) of squares."""
    half_m: float
    """Half the side of squares; 0 = discs."""
    radius_m: float
    """Of discs; of squares the outer radius."""
    hull: Sequence[tuple[float, float, float]]
    """What may not touch them: discs x, y, radius in base_link."""
    free_nodes: int = 0
    """So many of the first nodes do not count."""


class Obstacles:
    """The obstacles of one state, for positions at `times_s` (N,) from now."""

    def __init__(self, state: PrivilegedState, times_s: FloatArray) -> None:
        """Predict where everything will be."""
        hull = state.hull
        grace_s = state.grace_steps * state.control_step_s
        wrong = state.buttons[np.arange(len(state.buttons)) != state.goal_button]
        buttons = _standing(state, wrong, (), 0.0, state.button_radius, hull)
        self._costs = [
            _hazards(state, times_s),
            _gremlins(state, times_s),
            _standing(
                state, wrong, (), 0.0, state.button_radius, hull, int(np.sum(np.less(times_s, grace_s)))
            ),
        ]
        if state.vases_cost:
            vase = float(np.hypot(state.vase_half_m, state.vase_half_m))
            self._costs.append(_standing(state, state.vases, state.vases_yaw, state.vase_half_m, vase, hull))
        self._blocks = [buttons, _standing(state, state.pillars, (), 0.0, state.pillar_radius, hull)]

    def costs(self, x: FloatArray, y: FloatArray, yaw: FloatArray, far_m: float) -> FloatArray:
        """Metres to the nearest thing that costs, negative inside, at most `far_m`; arrays (K, N) float32.

        `x`, `y`: the robot's centre in world axes relative to its position in the state, m; `yaw` in rad.
        """
        return _nearest(self._costs, x, y, yaw, far_m)

    def blocks(self, x: FloatArray, y: FloatArray, yaw: FloatArray, far_m: float) -> FloatArray:
        """As `costs`, to the nearest thing that stands firm: pillars, buttons that are not the goal."""
        return _nearest(self._blocks, x, y, yaw, far_m)


def clearance_m(state: PrivilegedState) -> float:
    """Metres between the robot and the nearest thing that costs in its task, negative inside.

    From the robot's centre to a hazard's edge, from the hull to vases, gremlins and, but for the time of
    grace, wrong buttons. NOWHERE_M and no more where nothing is that near.
    """
    here = np.zeros((1, 1), np.float32)
    now = np.zeros(1, np.float32)
    yaw = np.full((1, 1), state.yaw, np.float32)
    return float(Obstacles(state, now).costs(here, here, yaw, NOWHERE_M)[0, 0])


def _standing(
    state: PrivilegedState,
    centres: Sequence[object] | NDArray[np.float64],
    yaws: Sequence[float] | NDArray[np.float64],
    half_m: float,
    radius_m: float,
    hull: Sequence[tuple[float, float, float]],
    free_nodes: int = 0,
) -> _Things:
    offsets = (np.reshape(np.asarray(centres, np.float64), (-1, 2)) - state.position).astype(np.float32)
    yaw = np.zeros(len(offsets), np.float32)
    yaw[: len(yaws)] = yaws
    return _Things(offsets[:, :1], offsets[:, 1:], yaw, half_m, radius_m, hull, free_nodes)


def _hazards(state: PrivilegedState, times_s: FloatArray) -> _Things:
    things = _standing(
        state, state.hazards, state.hazards_yaw, state.hazard_half_m, state.hazard_radius, _CENTRE
    )
    if not np.any(state.hazards_velocity):
        return things
    # The integral of a velocity that turns at a constant rate.
    rate, (vx, vy) = state.hazards_turn_rate, state.hazards_velocity.T[:, :, None]
    along = times_s * np.sinc(rate * times_s / np.pi)
    across = times_s * np.sin(rate * times_s / 2.0) * np.sinc(rate * times_s / 2.0 / np.pi)
    x = (things.x + vx * along - vy * across).astype(np.float32)
    y = (things.y + vy * along + vx * across).astype(np.float32)
    return _Things(x, y, things.yaw, things.half_m, things.radius_m, things.hull)


def _gremlins(state: PrivilegedState, times_s: FloatArray) -> _Things:
    half = state.gremlin_half_m
    now = _standing(state, state.gremlins, state.gremlins_yaw, half, float(np.hypot(half, half)), state.hull)
    angles = state.time_s - state.gremlin_lag_s + np.concatenate([np.zeros(1), times_s])
    circle = state.gremlin_travel * np.stack([np.sin(angles), np.cos(angles)])
    led = (state.gremlin_places - state.position).T[:, :, None] + circle[:, None, :]
    off = np.stack([now.x, now.y]) - led[:, :, :1]
    x, y = (led[:, :, 1:] + off * np.exp(-times_s / _PULL_S)).astype(np.float32)
    return _Things(x, y, now.yaw, now.half_m, now.radius_m, now.hull)


def _nearest(
    kinds: Sequence[_Things], x: FloatArray, y: FloatArray, yaw: FloatArray, far_m: float
) -> FloatArray:
    """Least gaps over all things, (K, N), at most `far_m`."""
    gaps = np.full(x.shape, far_m, np.float32)
    low, high = (x.min(), y.min()), (x.max(), y.max())
    turn: tuple[FloatArray, FloatArray] | None = None
    for things in kinds:
        reach = far_m + things.radius_m + max(float(np.hypot(px, py)) + r for px, py, r in things.hull)
        outside = np.maximum.reduce(
            [low[0] - things.x.max(axis=1, initial=-np.inf), things.x.min(axis=1, initial=np.inf) - high[0],
             low[1] - things.y.max(axis=1, initial=-np.inf), things.y.min(axis=1, initial=np.inf) - high[1]]
        )  # fmt: skip
        near = np.flatnonzero(outside < reach)
        if not len(near):
            continue
        for px, py, radius in things.hull:
            if px == py == 0.0:
                qx, qy = x, y
            else:
                if turn is None:
                    turn = np.cos(yaw), np.sin(yaw)
                cos, sin = turn
                fx, fy = np.float32(px), np.float32(py)
                qx, qy = (x + fx * cos, y + fx * sin)
                if py != 0.0:
                    qx, qy = qx - fy * sin, qy + fy * cos
            if things.half_m > 0.0:
                _lower_to_squares(gaps, things, near, qx, qy, radius, far_m)
            else:
                _lower_to_discs(gaps, things, near, qx, qy, radius)
    return gaps


def _lower_to_discs(
    gaps: FloatArray, things: _Things, near: NDArray[np.intp], x: FloatArray, y: FloatArray, radius: float
) -> None:
    """Lower `gaps` to those between a disc of the hull at x, y (K, N) and round things."""
    least = np.square(x - things.x[near[0]]) + np.square(y - things.y[near[0]])
    for i in near[1:]:
        np.minimum(least, np.square(x - things.x[i]) + np.square(y - things.y[i]), out=least)
    gap = np.sqrt(least) - np.float32(things.radius_m + radius)
    first = things.free_nodes
    np.minimum(gaps[:, first:], gap[:, first:], out=gaps[:, first:])


def _lower_to_squares(
    gaps: FloatArray,
    things: _Things,
    near: NDArray[np.intp],
    x: FloatArray,
    y: FloatArray,
    radius: float,
    far_m: float,
) -> None:
    """Lower `gaps` to those between a disc of the hull at x, y (K, N) and squares."""
    flat = gaps.reshape(-1)
    reach = np.float32((far_m + radius + things.radius_m) ** 2)
    half, r = np.float32(things.half_m), np.float32(radius)
    for i in near:
        dx, dy = x - things.x[i], y - things.y[i]
        # Few of a plan's nodes are near one square: only there the exact gap is worth its time.
        close = np.flatnonzero(np.square(dx) + np.square(dy) < reach)
        if not len(close):
            continue
        dx, dy = dx.reshape(-1)[close], dy.reshape(-1)[close]
        cos, sin = np.cos(things.yaw[i]), np.sin(things.yaw[i])
        along, across = np.abs(dx * cos + dy * sin) - half, np.abs(dy * cos - dx * sin) - half
        gap = np.hypot(np.maximum(along, 0.0), np.maximum(across, 0.0))
        gap += np.minimum(np.maximum(along, across), 0.0) - r
        flat[close] = np.minimum(flat[close], gap)
