"""Updates of the data-support estimate on cached latents."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from safe_o2o_ros.learning import distributed
from safe_o2o_ros.learning.config import SupportTraining
from safe_o2o_ros.learning.trainer import cosine
from safe_o2o_ros.learning.transitions import Transitions
from safe_o2o_ros.world_model.support import Support


class SupportPhase:
    """Tells recorded actions from others."""

    name = "support"

    def __init__(
        self, support: Support, data: Transitions, config: SupportTraining, seed: int, device: str = "cpu"
    ) -> None:
        self.support, self.data, self.config = support, data, config
        self.seed, self.device = seed, device
        self.part = distributed.part(config.batch)
        self.terms = distributed.averaged([support], self.losses)
        self.optimiser = torch.optim.Adam(support.parameters(), lr=config.learning_rate, fused=True)

    def modules(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """See Phase."""
        return {"support": self.support, "optimiser": self.optimiser}

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Of one batch."""
        return {"support": self.support.loss(batch["feature"], batch["action"], batch["others"])}

    def update(self, step: int) -> dict[str, Tensor]:
        """See Phase."""
        c = self.config
        rng = np.random.default_rng((self.seed, 4, step))
        batch = {k: v.to(self.device) for k, v in self.data.draw(rng, c.batch, self.part).items()}
        others = rng.uniform(-1.0, 1.0, (c.batch, self.support.action_dim)).astype(np.float32)[self.part]
        batch["others"] = torch.from_numpy(others).to(self.device)
        for group in self.optimiser.param_groups:
            group["lr"] = cosine(step, c.steps, 1, c.learning_rate, 0.1 * c.learning_rate)
        terms = self.terms(batch)
        self.optimiser.zero_grad(set_to_none=True)
        terms["support"].backward()
        self.optimiser.step()
        return {k: v.detach() for k, v in terms.items()}
