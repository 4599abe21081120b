"""Ensembles of state-action and state critics on latents."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from safe_o2o_ros.world_model.config import ModelConfig
from safe_o2o_ros.world_model.layers import MLP


class QEnsemble(nn.Module):
    """(feature, effective action) -> E values; `bounded` squashes to [0, 1] (reachability)."""

    def __init__(self, config: ModelConfig, bounded: bool = False) -> None:
        super().__init__()
        inputs = config.feature + config.action_dim
        self.members = nn.ModuleList(
            MLP(inputs, 1, config.critic_units, layers=2, zero_output=not bounded)
            for _ in range(config.ensemble)
        )
        self.bounded = bounded

    def forward(self, feature: Tensor, action: Tensor) -> Tensor:
        """Values (E, ...)."""
        x = torch.cat([feature, action], -1)
        values = torch.stack([m(x).squeeze(-1) for m in self.members])
        return torch.sigmoid(values) if self.bounded else values


class VCritic(nn.Module):
    """feature -> value (...); `bounded` squashes to [0, 1]."""

    def __init__(self, config: ModelConfig, bounded: bool = False) -> None:
        super().__init__()
        self.net = MLP(config.feature, 1, config.critic_units, layers=2, zero_output=not bounded)
        self.bounded = bounded

    def forward(self, feature: Tensor) -> Tensor:
        """Values (...)."""
        value = self.net(feature).squeeze(-1)
        return torch.sigmoid(value) if self.bounded else value
