"""How far data knows a command in a state."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from safe_o2o_ros.world_model.config import ModelConfig
from safe_o2o_ros.world_model.layers import MLP, of_each

_UNITS = 64


class Support(nn.Module):
    """(feature, effective action) -> p(a | s) / (p(a | s) + uniform) in [0, 1], by telling both apart.

    1/2: driven as often as an even spread over the box of actions would. Of the feature it looks at the
    percept, what is around the robot, and not at the previous action.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self._first, self.action_dim = config.dynamics, config.action_dim
        self.net = MLP(config.percept + config.action_dim, 1, _UNITS, layers=2, zero_output=True)

    def logits(self, feature: Tensor, action: Tensor) -> Tensor:
        """Log-odds (...) of actions (..., A) in states (..., F)."""
        out: Tensor = self.net(torch.cat([feature[..., self._first :], action], -1)).squeeze(-1)
        return out

    def forward(self, feature: Tensor, action: Tensor) -> Tensor:
        """See the class: (...)."""
        return torch.sigmoid(self.logits(feature, action))

    def of_commands(self, feature: Tensor, actions: Tensor) -> Tensor:
        """`forward` (B, K) for actions (B, K, A) in one state (B, F) each."""
        return torch.sigmoid(of_each(self.net, feature[:, self._first :], actions).squeeze(-1))

    def loss(self, feature: Tensor, action: Tensor, others: Tensor) -> Tensor:
        """Mean cross-entropy: recorded actions (B, A) against `others` (B, A), drawn evenly from the box."""
        driven, drawn = self.logits(feature, action), self.logits(feature, others)
        return F.softplus(-driven).mean() + F.softplus(drawn).mean()
