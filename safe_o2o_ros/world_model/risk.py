"""One upper bound of the risk of a command, from all that was trained to know it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from safe_o2o_ros.world_model.critics import QEnsemble, of_commands
from safe_o2o_ros.world_model.percept import Percept


class RiskBound(nn.Module):
    """(feature, effective action) -> risk in [0, 1]: what the most worried of several estimates says.

    The reachability ensemble answers whether a violation can still be avoided; it bootstraps, so its
    gradations come late. The percept's margin head was taught, with the images, how near the robot comes
    within the next periods, and is the finer instrument close by. Where data measured no margin
    (`near_m` = 0) it is not asked.
    """

    def __init__(self, q_reach: QEnsemble, percept: Percept | None, dynamics: int, near_m: float) -> None:
        """`dynamics`: where the percept begins in a feature. `near_m`, metres: see `near_risk`.

        `percept`: None only where `near_m` is 0.
        """
        super().__init__()
        self.q_reach, self.percept = q_reach, percept
        self._first, self.near_m = dynamics, near_m

    def forward(self, feature: Tensor, action: Tensor) -> Tensor:
        """Risk (...) of actions (..., A) in states (..., F)."""
        risk = self.q_reach(feature, action).amax(0)
        if self.percept is None or self.near_m <= 0.0:
            return risk
        least = self.percept.least_margin(feature[..., self._first :], action)
        return torch.maximum(risk, near_risk(least, self.near_m))

    def of_commands(self, feature: Tensor, actions: Tensor) -> Tensor:
        """`forward` (B, K) for actions (B, K, A) in one state (B, F) each."""
        risk = of_commands(self.q_reach, feature, actions).amax(0)
        if self.percept is None or self.near_m <= 0.0:
            return risk
        least = self.percept.least_margins(feature[:, self._first :], actions)
        return torch.maximum(risk, near_risk(least, self.near_m))


class UpperBound(nn.Module):
    """(feature, effective action) -> the most that any member of an ensemble says (...)."""

    def __init__(self, ensemble: QEnsemble) -> None:
        super().__init__()
        self.ensemble = ensemble

    def forward(self, feature: Tensor, action: Tensor) -> Tensor:
        """Of actions (..., A) in states (..., F)."""
        return self.ensemble(feature, action).amax(0)


def near_risk(margin: Tensor, near_m: float) -> Tensor:
    """Risk (...) of a least margin (...) ahead, metres: 0 from `near_m` on, 1/2 at 0, 1 at -`near_m`."""
    return torch.clamp((near_m - margin) / (2.0 * near_m), 0.0, 1.0)
