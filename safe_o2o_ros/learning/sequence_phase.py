"""Training on windows of recorded images: the world model, and the cloned baseline."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from safe_o2o_ros.learning import distributed
from safe_o2o_ros.learning.config import PretrainConfig, SequenceTraining
from safe_o2o_ros.learning.dataset import Dataset
from safe_o2o_ros.learning.trainer import cosine


class SequenceModel(Protocol):
    """What is trained here: a torch module with a loss over windows."""

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of `Dataset.windows` and its terms."""
        ...


class SequencePhase:
    """Adam on a model's loss, convolutions in reduced precision where the config says so."""

    def __init__(
        self,
        name: str,
        model: nn.Module,
        dataset: Dataset,
        config: PretrainConfig,
        schedule: SequenceTraining,
        device: str,
    ) -> None:
        """`model`: a SequenceModel."""
        self.name = name
        self.model, self.dataset, self.config, self.device = model, dataset, config, device
        self.schedule = schedule
        self.part = distributed.part(schedule.batch)
        self.loss = distributed.averaged([model], model.loss)  # type: ignore[arg-type]  # a SequenceModel's
        self.optimiser = torch.optim.Adam(model.parameters(), lr=1e-4, eps=1e-7, fused=True)

    def modules(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """See Phase."""
        return {"model": self.model, "optimiser": self.optimiser}

    def update(self, step: int) -> dict[str, Tensor]:
        """See Phase."""
        c = self.schedule
        rng = np.random.default_rng((self.config.seed, step))
        windows = self.dataset.windows(rng, c.batch, c.length, c.mirror, self.part)
        batch = {k: v.to(self.device) for k, v in windows.items()}
        for group in self.optimiser.param_groups:
            group["lr"] = cosine(step, c.steps, c.warmup, c.learning_rate, c.final_learning_rate)
        self.optimiser.zero_grad(set_to_none=True)
        reduced = self.config.precision == "bfloat16"
        with torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=reduced):
            loss, terms = self.loss(batch)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), c.clip, foreach=True)
        self.optimiser.step()
        return {**{k: v.detach() for k, v in terms.items()}, "grad_norm": norm}
