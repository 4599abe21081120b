"""What control needs of the images: a recurrent stream that never sees an action.

Demonstrations are smooth, so beside the previous action the image hardly helps to predict the next one, and
a latent that carries the action learns little from imitating. This stream has only images to imitate from,
and its state joins the latent.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from safe_o2o_ros.world_model.actor import Actor
from safe_o2o_ros.world_model.config import ModelConfig
from safe_o2o_ros.world_model.heads import BernoulliHead
from safe_o2o_ros.world_model.layers import MLP, of_each
from safe_o2o_ros.world_model.recurrence import gru_states

FORESIGHT = 10
"""Control periods within which a cost is foreseen."""
_MARGIN_M = 0.4
"""Margins beyond this are alike."""
_MARGIN_UNIT_M = 0.1
_RING_FADE_M = 0.5
"""A thing in the ring counts exp(-distance / this): what is near matters."""


class Percept(nn.Module):
    """g' = GRU(g, embedding), trained to predict the recorded action, how near a cost is, what is where."""

    def __init__(self, config: ModelConfig, embedding: int) -> None:
        super().__init__()
        self.size = config.percept
        self.inputs = nn.Sequential(nn.Linear(embedding, config.units), nn.LayerNorm(config.units), nn.SiLU())
        self.cell = nn.GRUCell(config.units, config.percept)
        self.behaviour = Actor(config, inputs=config.percept)
        self.foresight = BernoulliHead(config.percept + config.action_dim, config.units)
        self.margin = MLP(config.percept + config.action_dim, 2, config.units, layers=1)
        self.places = MLP(config.percept, config.sectors + 2 * config.landmarks, config.units, layers=1)
        self.sectors = config.sectors

    def forward(self, embedding: Tensor, state: Tensor) -> Tensor:
        """Next state (B, P) from an image embedding (B, E) and the state (B, P)."""
        return self.cell(self.inputs(embedding), state)

    def observe(self, embedding: Tensor, is_first: Tensor) -> Tensor:
        """States (B, T, P) over sequences; embedding (B, T, E), is_first (B, T)."""
        return gru_states(self.cell, self.inputs(embedding), is_first)

    def losses(self, states: Tensor, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Mean losses in nats; states (B, T, P), `batch` as for WorldModel.loss."""
        action = batch["action"]
        log_prob = self.behaviour.log_prob(states.flatten(0, 1), action.flatten(0, 1))
        taught = batch["imitate"].flatten()
        behaviour = -(taught * log_prob).sum() / taught.sum().clamp(min=1.0)
        soon, known = cost_ahead(batch["cost"], min(FORESIGHT, action.shape[1] // 2))
        seen = torch.cat([states[:, :known], action[:, :known]], -1)
        return {
            "behaviour": behaviour,
            "foresight": self.foresight.loss(seen, soon).mean(),
            "margin": self._margin_loss(seen, batch["margin"]),
            "geometry": self._geometry_loss(states, batch["ring"], batch["landmarks"]),
        }

    def least_margin(self, state: Tensor, action: Tensor) -> Tensor:
        """Metres (...) to what costs at the nearest moment within FORESIGHT periods of an action (..., A)."""
        return self.margin(torch.cat([state, action], -1))[..., 1].float() * _MARGIN_UNIT_M

    def least_margins(self, state: Tensor, actions: Tensor) -> Tensor:
        """`least_margin` (B, K) of actions (B, K, A) in one state (B, P) each."""
        return of_each(self.margin, state, actions)[..., 1].float() * _MARGIN_UNIT_M

    def _geometry_loss(self, states: Tensor, ring: Tensor, landmarks: Tensor) -> Tensor:
        """Squared error, where it was measured, of nearness around the robot and of the landmarks.

        A landmark at the distance d counts as a point in its direction at log(1 + d): near ones matter more.
        """
        predicted = self.places(states).float()
        points = landmarks.unflatten(-1, (-1, 2))
        distance = points.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        points = points * (torch.log1p(distance) / distance)
        target = torch.cat([torch.exp(-ring / _RING_FADE_M), points.flatten(-2)], -1)
        measured = torch.isfinite(target)
        error = (predicted - torch.where(measured, target, 0.0)) * measured
        return error.square().sum() / measured.any(-1).sum().clamp(min=1)

    def _margin_loss(self, seen: Tensor, margin: Tensor) -> Tensor:
        """Of the margin at the frame and the least one ahead, where they were measured; unit 10 cm."""
        known = seen.shape[1]
        windows = margin.unfold(1, margin.shape[1] - known + 1, 1)
        target = torch.stack([windows[..., 0], windows.amin(-1)], -1).clamp(-_MARGIN_M, _MARGIN_M)
        measured = torch.isfinite(target)
        error = self.margin(seen).float() - torch.where(measured, target, 0.0) / _MARGIN_UNIT_M
        error = F.smooth_l1_loss(error, torch.zeros_like(error), reduction="none")
        return (error * measured).sum() / measured.sum().clamp(min=1)


def cost_ahead(cost: Tensor, horizon: int) -> tuple[Tensor, int]:
    """Whether a cost falls within `horizon` steps, the present one included: (B, K) in {0, 1}, and K.

    cost (B, T). Of the last horizon - 1 steps of a window it is not known, so K = T - horizon + 1.
    """
    return (cost.unfold(1, horizon, 1) > 0.0).any(-1).float(), cost.shape[1] - horizon + 1
