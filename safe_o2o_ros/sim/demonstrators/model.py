"""Analytic motion of the Point robot, for many plans at once.

Speed: m v' = F - c v in both plane axes with F along the heading, so the velocity follows
`top_speed * u0 * heading` with the time constant m / c = 0.0051888 / 0.01 = 0.52 s.
Yaw: the turn servo's mean rate is a measured curve of the action, reached with a short lag.
Both are linear in their inputs, so a whole plan is three matrix products instead of a loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

TOP_SPEED_M_S = 1.5
TIME_CONSTANT_S = 0.52
YAW_LAG_S = 0.03
"""Time constant of the yaw rate towards the servo's mean rate."""
TURN_ACTIONS = np.array([-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0], np.float32)
TURN_RATES = np.array([-3.0, -2.25, -1.34, -0.65, 0.0, 0.65, 1.34, 2.25, 3.0], np.float32)
"""Mean yaw rate in rad/s at each of `TURN_ACTIONS`."""


@dataclass(frozen=True)
class Trajectories:
    """Predictions for K plans at N nodes; all float32, world axes relative to the start position."""

    x: FloatArray
    """(K, N) metres."""
    y: FloatArray
    """(K, N) metres."""
    yaw: FloatArray
    """(K, N) radians."""
    vx_end: FloatArray
    """(K,) m/s."""
    vy_end: FloatArray
    """(K,) m/s."""


class MotionModel(Protocol):
    """What a planner asks of a robot's model."""

    node_s: float
    """Time between nodes."""
    times_s: FloatArray
    """(N,) of the nodes, from now."""

    def predict(
        self, plans: FloatArray, yaw: float, yaw_rate: float, velocity: tuple[float, float]
    ) -> Trajectories:
        """See PointModel."""
        ...


class PointModel:
    """Predicts plans of `horizon` periods, with `substeps` nodes in each."""

    def __init__(self, period_s: float, horizon: int, substeps: int = 2) -> None:
        self.horizon = horizon
        self.substeps = substeps
        self.node_s = period_s / substeps
        n = horizon * substeps
        self.times_s = np.arange(1, n + 1, dtype=np.float32) * np.float32(self.node_s)
        """(N,) of the nodes, from now."""
        self._vel_in, self._pos_in, self._vel_0, self._pos_0 = lag_matrices(n, self.node_s, TIME_CONSTANT_S)
        _, self._yaw_in, _, self._yaw_0 = lag_matrices(n, self.node_s, YAW_LAG_S)

    def predict(
        self, plans: FloatArray, yaw: float, yaw_rate: float, velocity: tuple[float, float]
    ) -> Trajectories:
        """Roll out effective plans, shape (K, horizon, 2), from the origin.

        `yaw` rad, `yaw_rate` rad/s and `velocity` m/s are the present state in world axes.
        """
        rates = np.interp(plans[:, :, 1], TURN_ACTIONS, TURN_RATES).astype(np.float32)
        rates = np.repeat(rates, self.substeps, axis=1)
        angle = rates @ self._yaw_in + (self._yaw_0 * np.float32(yaw_rate) + np.float32(yaw))
        # The force of a node acts while the heading moves from the previous node's to this one's.
        middle = np.empty_like(angle)
        middle[:, 0] = 0.5 * (angle[:, 0] + np.float32(yaw))
        middle[:, 1:] = 0.5 * (angle[:, 1:] + angle[:, :-1])
        push = np.repeat(plans[:, :, 0], self.substeps, axis=1) * np.float32(TOP_SPEED_M_S)
        px, py = push * np.cos(middle), push * np.sin(middle)
        vx, vy = np.float32(velocity[0]), np.float32(velocity[1])
        return Trajectories(
            x=px @ self._pos_in + self._pos_0 * vx,
            y=py @ self._pos_in + self._pos_0 * vy,
            yaw=angle,
            vx_end=px @ self._vel_in[:, -1] + self._vel_0[-1] * vx,
            vy_end=py @ self._vel_in[:, -1] + self._vel_0[-1] * vy,
        )


def lag_matrices(n: int, dt: float, tau: float) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Exact response of `rate' = (target - rate) / tau` and of its integral, at n nodes.

    Returns rate per target (n, n), integral per target (n, n), rate per start rate (n,) and integral
    per start rate (n,); row = input node, column = output node.
    """
    keep = np.exp(-dt / tau)
    reach = tau * (1.0 - keep)
    rate = np.zeros((n + 1, n))
    integral = np.zeros((n + 1, n))
    for source in range(n + 1):
        r, s = (1.0, 0.0) if source == n else (0.0, 0.0)
        for node in range(n):
            target = 1.0 if node == source else 0.0
            s += reach * r + (dt - reach) * target
            r = keep * r + (1.0 - keep) * target
            rate[source, node], integral[source, node] = r, s
    to32 = np.float32
    return rate[:n].astype(to32), integral[:n].astype(to32), rate[n].astype(to32), integral[n].astype(to32)
