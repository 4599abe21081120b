"""The actor: a mixture of Gaussians over effective actions.

A mixture, because left and right of an obstacle are both good and their mean is not.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from safe_o2o_ros.world_model.config import ModelConfig
from safe_o2o_ros.world_model.layers import MLP


class Actor(nn.Module):
    """feature (B, F) -> mixture with tanh-bounded means in [-1, 1]^A."""

    def __init__(self, config: ModelConfig, inputs: int | None = None) -> None:
        super().__init__()
        self.components, self.action_dim = config.components, config.action_dim
        outputs = config.components * (1 + 2 * config.action_dim)
        self.net = MLP(inputs or config.feature, outputs, config.units, layers=2)

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-weights (B, K), means (B, K, A), standard deviations (B, K, A) in effective units."""
        k, a = self.components, self.action_dim
        weight, mean, spread = self.net(feature).float().split([k, k * a, k * a], -1)
        mean = torch.tanh(mean).unflatten(-1, (k, a))
        std = 0.05 + 0.5 * torch.sigmoid(spread).unflatten(-1, (k, a))
        return torch.log_softmax(weight, -1), mean, std

    def log_prob(self, feature: Tensor, action: Tensor) -> Tensor:
        """Log-density (B,) of effective actions (B, A)."""
        log_weight, mean, std = self(feature)
        z = (action.unsqueeze(-2) - mean) / std
        log_normal = (-0.5 * z**2 - torch.log(std) - 0.5 * math.log(2.0 * math.pi)).sum(-1)
        return torch.logsumexp(log_weight + log_normal, -1)

    def likeliest(self, feature: Tensor) -> Tensor:
        """The mean (B, A) of the component with the largest weight."""
        log_weight, mean, _ = self(feature)
        best = log_weight.argmax(-1)[:, None, None].expand(-1, 1, self.action_dim)
        return mean.gather(1, best).squeeze(1)

    def proposals(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        """Actions (B, C, A) the mixture stands for, and the log-weight (B, C) of the component of each.

        Of every component its mean, half its mean, and one standard deviation to either side in each channel:
        what the demonstrators might do here, for critics to choose from.
        """
        log_weight, mean, std = self(feature)
        offsets = torch.eye(self.action_dim, device=mean.device)
        shifted = [mean + sign * std * offset for offset in offsets for sign in (1.0, -1.0)]
        actions = torch.cat([mean, 0.5 * mean, *shifted], -2).clamp(-1.0, 1.0)
        return actions, log_weight.repeat(1, actions.shape[-2] // self.components)

    def sample(self, feature: Tensor) -> Tensor:
        """A draw (B, A), clipped to the box."""
        return self.draw(feature).clamp(-1.0, 1.0)

    def entropy(self, feature: Tensor) -> Tensor:
        """Upper bound (B,) of the entropy, nats: that of the weights plus the mean of the components'."""
        log_weight, _, std = self(feature)
        weight = log_weight.exp()
        of_component = (torch.log(std) + 0.5 * math.log(2.0 * math.pi * math.e)).sum(-1)
        return (weight * (of_component - log_weight)).sum(-1)

    def draw(self, feature: Tensor) -> Tensor:
        """A draw (B, A) that may lie outside the box: what `log_prob` is the density of."""
        log_weight, mean, std = self(feature)
        noise = -torch.log(-torch.log(torch.rand_like(log_weight).clamp_(1e-9, 1.0 - 1e-7)))
        best = (log_weight + noise).argmax(-1)[:, None, None].expand(-1, 1, self.action_dim)
        mean, std = mean.gather(-2, best).squeeze(-2), std.gather(-2, best).squeeze(-2)
        return mean + std * torch.randn_like(mean)


class PerceptActor(Actor):
    """The percept's own imitation of the demonstrators (percept.py), asked with whole latents."""

    def __init__(self, config: ModelConfig, behaviour: Actor) -> None:
        """`behaviour`: trained on percepts; its weights are copied."""
        super().__init__(config, inputs=config.percept)
        self._first = config.dynamics
        self.load_state_dict(behaviour.state_dict())

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See Actor; only the percept's part of `feature` (B, F) is looked at."""
        return super().forward(feature[:, self._first :])
