"""The baseline: a convolutional recurrent policy, cloned end to end from the same windows.

It has the convolutions, the recurrent width and the action head of the world-model agent, sees no previous
action (a clone that does learns to repeat it), and is exported with the same interface, so that every
tool that drives a bundle drives it too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from safe_o2o_ros.world_model.actor import Actor
from safe_o2o_ros.world_model.config import ModelConfig
from safe_o2o_ros.world_model.recurrence import gru_states
from safe_o2o_ros.world_model.vision import ImageEncoder, normalise


class CloneNetwork(nn.Module):
    """Image -> embedding -> GRU -> mixture of Gaussians over actions."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = ImageEncoder(config)
        self.project = nn.Sequential(
            nn.Linear(self.encoder.size, config.units), nn.LayerNorm(config.units), nn.SiLU()
        )
        self.cell = nn.GRUCell(config.units, config.deter)
        self.actor = Actor(config, inputs=config.deter)

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Negative log-likelihood of the recorded actions; `batch` as for WorldModel.loss."""
        image = normalise(batch["image"])
        b, t = image.shape[:2]
        inputs = self.project(self.encoder(image.flatten(0, 1))).unflatten(0, (b, t))
        features = gru_states(self.cell, inputs, batch["is_first"]).flatten(0, 1)
        nll = -self.actor.log_prob(features, batch["action"].flatten(0, 1)).mean()
        return nll, {"behaviour": nll.detach()}

    def step(
        self, image: Tensor, action: Tensor, state: Tensor, is_first: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """encoder.onnx of the clone: the latent is the GRU's state, the action is not used."""
        return self.step_embedded(self.encoder(normalise(image)), action, state, is_first)

    def step_embedded(
        self, embedding: Tensor, action: Tensor, state: Tensor, is_first: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`step` from an image embedding (B, E)."""
        inputs = self.project(embedding.float())
        hidden = self.cell(inputs, state * (1.0 - is_first))
        return hidden, hidden + 0.0 * action.sum(-1, keepdim=True), torch.zeros_like(is_first)


class ClonePolicy(nn.Module):
    """policy.onnx of the clone: the mean of the likeliest component, score 0."""

    def __init__(self, actor: Actor) -> None:
        super().__init__()
        self.actor = actor

    def forward(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """actions (B, 1, A), scores (B, 1)."""
        return self.actor.likeliest(latent).unsqueeze(1), torch.zeros_like(latent[:, :1])


class NoSafety(nn.Module):
    """safety.onnx of the clone: it knows nothing, so everything is a risk and nothing is certified."""

    def forward(self, latent: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """risk (B, K) = 1, cost (B, K) = 0, state_risk (B, 1) = 1."""
        zero = 0.0 * (actions.sum(-1) + latent.sum(-1, keepdim=True))
        return zero + 1.0, zero, 0.0 * latent[:, :1] + 1.0
