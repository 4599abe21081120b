"""Recorded transitions seen through the encoder: what critics and actor train on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from safe_o2o_ros.learning.latents import Latents


class Transitions:
    """Cached latents with their actions, rewards and costs; rows as in Dataset."""

    def __init__(
        self,
        latents: Latents,
        action: Tensor,
        reward: Tensor,
        cost: Tensor,
        cont: Tensor,
        margin: Tensor,
        rows: Tensor,
    ) -> None:
        """`rows` (M,): rows with an action; row + 1 is the next latent. `margin` (N,): see Dataset."""
        self.feature, self.scrambled = latents.feature, latents.scrambled
        self.action, self.reward = action, reward
        self.cost, self.cont, self.margin, self.rows = cost, cont, margin, rows

    def draw(self, rng: np.random.Generator, batch: int, part: slice = slice(None)) -> dict[str, Tensor]:
        """A uniform batch of transitions; of those drawn only `part` is returned."""
        rows = self.rows[torch.from_numpy(rng.integers(len(self.rows), size=batch)[part])]
        return {
            "feature": self.feature[rows],
            "scrambled": self.scrambled[rows],
            "action": self.action[rows],
            "reward": self.reward[rows],
            "cost": self.cost[rows],
            "cont": self.cont[rows],
            "margin": self.margin[rows + 1],
            "margin_here": self.margin[rows],
            "next": self.feature[rows + 1],
        }
