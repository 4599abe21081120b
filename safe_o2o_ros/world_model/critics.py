"""Ensembles of state-action and state critics on latents."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from safe_o2o_ros.world_model.config import ModelConfig
from safe_o2o_ros.world_model.layers import MLP, of_each

_LOW_RISK = -4.0
"""Logit an untrained reachability critic starts at. The estimate bootstraps on itself with a discount near
1, so a start at 1/2 would take hundreds of sweeps to fade from states that are safe."""


def _critic(inputs: int, config: ModelConfig, bounded: bool) -> MLP:
    net = MLP(inputs, 1, config.critic_units, layers=2, zero_output=True)
    if bounded:
        nn.init.constant_(net[-1].bias, _LOW_RISK)  # type: ignore[arg-type]  # a Linear's bias
    return net


class QEnsemble(nn.Module):
    """(feature, effective action) -> E values; `bounded` squashes to [0, 1] (reachability)."""

    def __init__(self, config: ModelConfig, bounded: bool = False) -> None:
        super().__init__()
        inputs = config.feature + config.action_dim
        self.members = nn.ModuleList(_critic(inputs, config, bounded) for _ in range(config.ensemble))
        self.bounded = bounded

    def forward(self, feature: Tensor, action: Tensor) -> Tensor:
        """Values (E, ...)."""
        values = self.logits(feature, action)
        return torch.sigmoid(values) if self.bounded else values

    def logits(self, feature: Tensor, action: Tensor) -> Tensor:
        """Values (E, ...) before they are squashed."""
        x = torch.cat([feature, action], -1)
        return torch.stack([m(x).squeeze(-1) for m in self.members])


def of_commands(ensemble: QEnsemble, feature: Tensor, actions: Tensor) -> Tensor:
    """Values (E, B, K) of an ensemble for actions (B, K, A) in one state (B, F) each."""
    values = torch.stack([of_each(cast(MLP, m), feature, actions).squeeze(-1) for m in ensemble.members])
    return torch.sigmoid(values) if ensemble.bounded else values


class VCritic(nn.Module):
    """feature -> value (...); `bounded` squashes to [0, 1]."""

    def __init__(self, config: ModelConfig, bounded: bool = False) -> None:
        super().__init__()
        self.net = _critic(config.feature, config, bounded)
        self.bounded = bounded

    def forward(self, feature: Tensor) -> Tensor:
        """Values (...)."""
        value = self.logits(feature)
        return torch.sigmoid(value) if self.bounded else value

    def logits(self, feature: Tensor) -> Tensor:
        """Values (...) before they are squashed."""
        value: Tensor = self.net(feature).squeeze(-1)
        return value
