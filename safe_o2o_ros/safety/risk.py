"""The bundle's reachability networks behind one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from safe_o2o_ros.bundle import SAFETY, Bundle
from safe_o2o_ros.types import FloatArray


@dataclass(frozen=True)
class RiskEstimate:
    """Scores of K commands in one state; higher is worse."""

    risk: FloatArray
    """(K,) float32 in [0, 1]: ensemble's upper bound of the probability of a violation after the command."""
    cost: FloatArray
    """(K,) float32: discounted cost-to-go; ranks commands where the risk is flat."""
    state_risk: float
    """Risk of the state if one acts as safely as the data shows is possible."""
    support: FloatArray | None = None
    """(K,) float32 in [0, 1]: how far the data knows such a command in such a state; None: nobody knows."""

    def is_finite(self) -> bool:
        """False if any number is NaN or infinite."""
        parts = (self.risk, self.cost, self.state_risk, 0.0 if self.support is None else self.support)
        return all(bool(np.isfinite(part).all()) for part in parts)


class RiskModel(Protocol):
    """What the filter asks: one batch of commands at one latent."""

    def __call__(self, feature: FloatArray, actions: FloatArray) -> RiskEstimate:
        """`feature` (N,), `actions` (K, A) effective."""
        ...


class BundleRisk:
    """RiskModel of a loaded bundle."""

    def __init__(self, bundle: Bundle) -> None:
        """`bundle` must have been loaded with its safety network."""
        self._network = bundle.networks[SAFETY]

    def __call__(self, feature: FloatArray, actions: FloatArray) -> RiskEstimate:
        """One ONNX call for all candidates."""
        result = self._network.run({"latent": feature[None], "actions": actions[None]})
        support = result["support"][0] if "support" in result else None
        return RiskEstimate(result["risk"][0], result["cost"][0], float(result["state_risk"][0, 0]), support)
