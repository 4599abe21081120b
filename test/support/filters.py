"""Robots and a hand-made risk for tests of the safety filter."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.safety.risk import RiskEstimate
from safe_o2o_ros.types import FloatArray, Latent, Proposal

VERSION = "v1"
PERIOD_S = 0.08

WHEELED = RobotAdapter(
    name="wheeled",
    action_names=("linear.x", "angular.z"),
    action_units=("m/s", "rad/s"),
    scale=(0.5, 1.0),
    saturation=(1.0, 1.0),
    brake="velocity",
    top_speed=(0.5, 1.0),
    time_constant_s=(0.0, 0.0),
    max_accel=(1.0, 2.0),
    max_decel=(2.5, 5.0),
)
"""A velocity base that may grow by 0.08 and shrink by 0.2 of its top speed per period of 0.08 s."""


@dataclass
class LinearRisk:
    """risk = clip(bias + weight . action, 0, 1), cost = 10 risk + slope . action; keeps what it was asked."""

    weight: tuple[float, float] = (0.0, 0.0)
    bias: float = 0.0
    slope: tuple[float, float] = (0.0, 0.0)
    state_risk: float = 0.25
    asked: list[FloatArray] = field(default_factory=list)

    def risk(self, actions: FloatArray) -> FloatArray:
        """(K,) of effective actions (K, A)."""
        risk = np.clip(self.bias + np.asarray(actions, np.float64) @ self.weight, 0.0, 1.0)
        return np.asarray(risk, np.float32)

    def cost(self, actions: FloatArray) -> FloatArray:
        """(K,) of effective actions (K, A)."""
        return np.asarray(10.0 * self.risk(actions) + np.asarray(actions) @ self.slope, np.float32)

    def __call__(self, feature: FloatArray, actions: FloatArray) -> RiskEstimate:
        """See RiskModel."""
        self.asked.append(actions)
        return RiskEstimate(self.risk(actions), self.cost(actions), self.state_risk)


def latent(stamp_ns: int = 1, version: str = VERSION, value: float = 0.0) -> Latent:
    """A latent of four equal numbers."""
    return Latent(stamp_ns, version, np.full(4, value, np.float32), 0.0)


def proposal(x: float, z: float, stamp_ns: int = 1) -> Proposal:
    """A nominal raw command."""
    return Proposal(stamp_ns, np.array([x, z], np.float32), "offline")
