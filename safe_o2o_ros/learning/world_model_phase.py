"""Phase one: the world model on windows of recorded images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from safe_o2o_ros.learning.config import PretrainConfig
from safe_o2o_ros.learning.dataset import Dataset
from safe_o2o_ros.learning.trainer import cosine
from safe_o2o_ros.world_model.model import WorldModel


class WorldModelPhase:
    """Adam on the world model's loss, convolutions in reduced precision where that is faster."""

    name = "world_model"

    def __init__(self, model: WorldModel, dataset: Dataset, config: PretrainConfig, device: str) -> None:
        self.model, self.dataset, self.config, self.device = model, dataset, config, device
        self.optimiser = torch.optim.Adam(model.parameters(), lr=1e-4, eps=1e-7)

    def modules(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """See Phase."""
        return {"model": self.model, "optimiser": self.optimiser}

    def update(self, step: int) -> dict[str, Tensor]:
        """See Phase."""
        c = self.config.world_model
        rng = np.random.default_rng((self.config.seed, step))
        batch = {
            k: v.to(self.device) for k, v in self.dataset.windows(rng, c.batch, c.length).items()
        }
        for group in self.optimiser.param_groups:
            group["lr"] = cosine(step, c.steps, c.warmup, c.learning_rate, c.final_learning_rate)
        self.optimiser.zero_grad(set_to_none=True)
        reduced = self.config.precision == "bfloat16"
        with torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=reduced):
            loss, terms = self.model.loss(batch)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), c.clip)
        self.optimiser.step()
        return {**{k: v.detach() for k, v in terms.items()}, "loss": loss.detach(), "grad_norm": norm}
