"""Motion of the Car for many plans at once, measured in the simulator on an empty floor.

The wheels saturate, slip and skid, so each constant action has its own steady motion of the body: tables
over the two wheels, symmetrised left to right. Yaw rate and side speed follow it with a short lag. The speed
along the heading gathers slowly and is lost quickly, and backwards it gathers slowest of all: three time
constants. The shaking of caster and wheels (0.03 m/s, 0.15 rad/s) is not modelled.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.sim.demonstrators.model import Trajectories, lag_matrices

FloatArray = NDArray[np.float32]

TOP_SPEED_M_S = 0.78
TOP_TURN_RAD_S = 1.32
FORWARD_S = 0.14
BACKWARD_S = 0.4
BRAKE_S = 0.1
YAW_LAG_S = 0.04

_WHEEL = np.linspace(-1.0, 1.0, 9)
"""Effective actions of the tables' rows (left) and columns (right)."""
_ALONG = (
    (-0.76, -0.65, -0.47, -0.27, -0.15, -0.10, -0.07, -0.05, -0.03),
    (-0.65, -0.60, -0.45, -0.24, -0.13, -0.07, -0.04, -0.02, 0.00),
    (-0.47, -0.45, -0.38, -0.23, -0.12, -0.05, -0.01, 0.01, 0.03),
    (-0.27, -0.24, -0.23, -0.17, -0.08, 0.00, 0.03, 0.05, 0.06),
    (-0.15, -0.13, -0.12, -0.08, 0.00, 0.08, 0.12, 0.13, 0.14),
    (-0.10, -0.07, -0.05, 0.00, 0.08, 0.17, 0.23, 0.24, 0.27),
    (-0.07, -0.04, -0.01, 0.03, 0.12, 0.23, 0.37, 0.43, 0.46),
    (-0.05, -0.02, 0.01, 0.05, 0.13, 0.24, 0.43, 0.60, 0.64),
    (-0.03, 0.00, 0.03, 0.06, 0.14, 0.27, 0.46, 0.64, 0.79),
)
"""m/s."""
_TURN = (
    (0.00, -0.30, -0.48, -0.47, -0.74, -0.98, -1.10, -1.22, -1.32),
    (0.30, 0.00, -0.31, -0.34, -0.64, -0.85, -0.98, -1.06, -1.19),
    (0.48, 0.31, 0.00, -0.28, -0.56, -0.77, -0.88, -0.95, -1.04),
    (0.47, 0.34, 0.28, 0.00, -0.36, -0.64, -0.74, -0.81, -0.88),
    (0.74, 0.64, 0.56, 0.36, 0.00, -0.36, -0.52, -0.58, -0.63),
    (0.98, 0.85, 0.77, 0.64, 0.36, 0.00, -0.27, -0.34, -0.44),
    (1.10, 0.98, 0.88, 0.74, 0.52, 0.27, 0.00, -0.24, -0.36),
    (1.22, 1.06, 0.95, 0.81, 0.58, 0.34, 0.24, 0.00, -0.21),
    (1.32, 1.19, 1.04, 0.88, 0.63, 0.44, 0.36, 0.21, 0.00),
)
"""rad/s; more left wheel turns left, since the wheels are behind and named as seen from the caster's end."""
_SIDE_PER_TURN_M = 0.045
"""Side speed of the body's centre for each rad/s: it lies before the axle, and the wheels skid."""
_TABLES = np.stack([np.array(_ALONG), np.array(_TURN)], axis=-1).astype(np.float32)


class CarModel:
    """Predicts plans of `horizon` periods, with `substeps` nodes in each."""

    def __init__(self, period_s: float, horizon: int, substeps: int = 2) -> None:
        self.horizon = horizon
        self.substeps = substeps
        self.node_s = period_s / substeps
        n = horizon * substeps
        self.times_s = np.arange(1, n + 1, dtype=np.float32) * np.float32(self.node_s)
        """(N,) of the nodes, from now."""
        _, self._yaw_in, _, self._yaw_0 = lag_matrices(n, self.node_s, YAW_LAG_S)

    def predict(
        self, plans: FloatArray, yaw: float, yaw_rate: float, velocity: tuple[float, float]
    ) -> Trajectories:
        """Roll out effective plans, shape (K, horizon, 2), from the origin.

        `yaw` rad, `yaw_rate` rad/s and `velocity` m/s are the present state in world axes.
        """
        steady = np.repeat(_steady(plans), self.substeps, axis=1)
        angle = steady[..., 1] @ self._yaw_in + (self._yaw_0 * np.float32(yaw_rate) + np.float32(yaw))
        middle = np.empty_like(angle)
        middle[:, 0] = 0.5 * (angle[:, 0] + np.float32(yaw))
        middle[:, 1:] = 0.5 * (angle[:, 1:] + angle[:, :-1])
        now = velocity[0] * np.cos(yaw) + velocity[1] * np.sin(yaw)
        along, end = self._along(steady[..., 0], now)
        side = np.diff(angle, axis=1, prepend=np.float32(yaw)) * np.float32(_SIDE_PER_TURN_M)
        cos, sin = np.cos(middle), np.sin(middle)
        cos_end, sin_end = np.cos(angle[:, -1]), np.sin(angle[:, -1])
        return Trajectories(
            x=np.cumsum(cos * along - sin * side, axis=1),
            y=np.cumsum(sin * along + cos * side, axis=1),
            yaw=angle,
            vx_end=cos_end * end,
            vy_end=sin_end * end,
        )

    def _along(self, steady: FloatArray, now: float) -> tuple[FloatArray, FloatArray]:
        """Metres along the heading in each node, (K, N), and the last speed, (K,)."""
        dt = self.node_s
        kept = {tau: np.float32(np.exp(-dt / tau)) for tau in (FORWARD_S, BACKWARD_S, BRAKE_S)}
        tau = np.where(steady > 0.0, np.float32(FORWARD_S), np.float32(BACKWARD_S))
        keep = np.where(steady > 0.0, kept[FORWARD_S], kept[BACKWARD_S])
        # Node by node, since what brakes depends on the speed; time first, so that a node is contiguous.
        target = np.ascontiguousarray(steady.T)
        tau, keep = np.ascontiguousarray(tau.T), np.ascontiguousarray(keep.T)
        speed = np.full(target.shape[1], now, np.float32)
        metres = np.empty_like(target)
        for node, goal in enumerate(target):
            lack = goal - speed
            brakes = lack * speed < 0.0
            t = np.where(brakes, np.float32(BRAKE_S), tau[node])
            lost = 1.0 - np.where(brakes, kept[BRAKE_S], keep[node])
            metres[node] = goal * np.float32(dt) - lack * t * lost
            speed = speed + lack * lost
        return metres.T, speed


def _steady(plans: FloatArray) -> FloatArray:
    """Steady speed along the heading, m/s, and yaw rate, rad/s, of actions (..., 2); bilinear, (..., 2)."""
    place = np.clip((plans + 1.0) * 4.0, 0.0, 8.0)
    cell = np.minimum(place.astype(np.int64), 7)
    part = place - cell.astype(np.float32)
    row, column = cell[..., 0], cell[..., 1]
    a, b = part[..., :1], part[..., 1:]
    low = _TABLES[row, column] * (1.0 - b) + _TABLES[row, column + 1] * b
    high = _TABLES[row + 1, column] * (1.0 - b) + _TABLES[row + 1, column + 1] * b
    return np.asarray(low * (1.0 - a) + high * a, np.float32)
