"""Phase one: convolutions and percept alone, many cheap updates; the world model comes on top of them."""

from __future__ import annotations

from torch import Tensor, nn

from safe_o2o_ros.world_model.model import WorldModel
from safe_o2o_ros.world_model.vision import normalise


class Seeing(nn.Module):
    """The part of a world model that looks: shares its encoder and percept."""

    def __init__(self, model: WorldModel) -> None:
        super().__init__()
        self.encoder, self.percept, self.scales = model.encoder, model.percept, model.scales

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted sum of the percept's losses and its terms; `batch` as for WorldModel.loss."""
        b, t = batch["image"].shape[:2]
        embedding = self.encoder(normalise(batch["image"].flatten(0, 1))).unflatten(0, (b, t)).float()
        terms = self.percept.losses(self.percept.observe(embedding, batch["is_first"]), batch)
        return self.scales.percept(terms), terms
