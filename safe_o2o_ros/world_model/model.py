"""The world model: encode, predict, reconstruct; its verbs over private networks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from safe_o2o_ros.world_model.config import ModelConfig
from safe_o2o_ros.world_model.heads import BernoulliHead, TwoHotHead
from safe_o2o_ros.world_model.layers import MLP
from safe_o2o_ros.world_model.percept import Percept
from safe_o2o_ros.world_model.rssm import RSSM, RSSMState, kl
from safe_o2o_ros.world_model.vision import ImageDecoder, ImageEncoder, normalise, squared_error


@dataclass(frozen=True)
class LossScales:
    """Weights of the world model's loss terms."""

    dynamics: float = 0.5
    representation: float = 0.1
    free_nats: float = 1.0
    behaviour: float = 1.0
    """Weight of predicting the demonstrator's action from the images: keeps what control needs."""
    foresight: float = 1.0
    """Weight of predicting from the images and the action whether a cost is near."""
    margin: float = 1.0
    """Weight of predicting from them how near it comes, where the data says so."""
    geometry: float = 1.0
    """Weight of predicting what is where around the robot, where the data says so."""
    cost_positive: float = 1.0
    """Loss weight of samples with cost > 0; undone at decoding."""
    decode_fraction: float = 1.0
    """Share of the steps whose image is reconstructed each update; the decoder is half the compute."""

    def percept(self, terms: dict[str, Tensor]) -> Tensor:
        """Weighted sum of the percept's terms."""
        return (
            self.behaviour * terms["behaviour"]
            + self.foresight * terms["foresight"]
            + self.margin * terms["margin"]
            + self.geometry * terms["geometry"]
        )


class WorldModel(nn.Module):
    """RSSM with image, reward, cost and continue heads, and beside it the percept, which sees images only."""

    def __init__(self, config: ModelConfig, scales: LossScales) -> None:
        super().__init__()
        self.config, self.scales = config, scales
        self.encoder = ImageEncoder(config)
        self.rssm = RSSM(config, self.encoder.size)
        self.percept = Percept(config, self.encoder.size)
        self.guess = MLP(config.dynamics, config.percept, config.units, layers=1)
        self.decoder = ImageDecoder(config, config.dynamics)
        transition = config.dynamics + config.action_dim
        self.reward = TwoHotHead(transition, config.units)
        self.cost = TwoHotHead(
            transition, config.units, bins=31, low=0.0, high=3.0, positive_weight=scales.cost_positive
        )
        self.cont = BernoulliHead(transition, config.units)

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch of sequences and its terms (means).

        batch: image (B, T, H, W, C) uint8; previous_action, action (B, T, A) effective; reward, cost,
        cont (B, T) of the transition that `action` makes; imitate (B, T) 1 where that action is a
        demonstrator's; margin (B, T) metres at the frame, NaN where unknown; is_first (B, T);
        ring, landmarks: see Dataset.
        """
        image = normalise(batch["image"])
        b, t = image.shape[:2]
        embedding = self.encoder(image.flatten(0, 1)).unflatten(0, (b, t)).float()
        deter, stoch, post, prior = self.rssm.observe(embedding, batch["previous_action"], batch["is_first"])
        dynamics_state = torch.cat([deter, stoch], -1)
        percept = self.percept.observe(embedding, batch["is_first"])
        free = self.scales.free_nats
        dynamics = kl(post.detach(), prior).clamp(min=free).mean()
        representation = kl(post, prior.detach()).clamp(min=free).mean()
        transition = torch.cat([dynamics_state, batch["action"]], -1)
        terms = {
            "image": self._image_loss(dynamics_state, image),
            "dynamics": dynamics,
            "representation": representation,
            "reward": self.reward.loss(transition, batch["reward"]).mean(),
            "cost": self.cost.loss(transition, batch["cost"]).mean(),
            "continue": self.cont.loss(transition, batch["cont"]).mean(),
            # Imagination has no image: it guesses the percept. No gradient into either state.
            "guess": (self.guess(dynamics_state.detach()) - percept.detach()).square().mean(),
        }
        s = self.scales
        total = (
            terms["image"]
            + s.dynamics * dynamics
            + s.representation * representation
            + terms["reward"]
            + terms["cost"]
            + terms["continue"]
            + terms["guess"]
        )
        if any(p.requires_grad for p in self.percept.parameters()):  # else it was trained before
            terms |= self.percept.losses(percept, batch)
            total = total + s.percept(terms)
        with torch.no_grad():
            terms["kl"] = kl(post, prior).mean()
        return total, terms

    def _image_loss(self, state: Tensor, image: Tensor) -> Tensor:
        """Squared error summed over pixels, mean over (a random share of) the steps; `image` normalised."""
        flat, target = state.flatten(0, 1), image.flatten(0, 1)
        if self.scales.decode_fraction < 1.0:
            count = max(1, int(len(flat) * self.scales.decode_fraction))
            chosen = torch.randperm(len(flat), device=flat.device)[:count]
            flat, target = flat[chosen], target[chosen]
        return squared_error(self.decoder(flat), target) / len(flat)

    def step(
        self, image: Tensor, action: Tensor, state: Tensor, is_first: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The deployed recurrence: deterministic, no sampling. This is what is exported.

        image (B, H, W, C) uint8, action (B, A) effective, state (B, S), is_first (B, 1).
        Returns feature (B, N) = [h, posterior probabilities, g], next state (B, S) = [h, one-hot mode, g],
        surprise (B, 1) = KL(posterior || prior) nats, 0 at a first step.
        """
        return self.step_embedded(self.encoder(normalise(image)), action, state, is_first)

    def step_embedded(
        self, embedding: Tensor, action: Tensor, state: Tensor, is_first: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`step` from an image embedding (B, E)."""
        keep = 1.0 - is_first
        deter, stoch, percept = (state * keep).split(self.config.parts, -1)
        deter = self.rssm.recur(RSSMState(deter, stoch), action * keep)
        post, prior = self.rssm.posterior(deter, embedding), self.rssm.prior(deter)
        percept = self.percept(embedding, percept)
        feature = torch.cat([deter, post.exp().flatten(-2), percept], -1)
        surprise = kl(post, prior).unsqueeze(-1) * keep
        return feature, torch.cat([deter, self.rssm.mode(post), percept], -1), surprise

    def imagine(self, state: RSSMState, action: Tensor) -> tuple[RSSMState, Tensor]:
        """One step without an image: the sampled state, and the feature (B, N) with a guessed percept."""
        state, dynamics = self.rssm.imagine(state, action)
        return state, torch.cat([dynamics, self.guess(torch.cat([state.deter, state.stoch], -1))], -1)

    def decode(self, feature: Tensor) -> Tensor:
        """Image (B, H, W, C) uint8 that a feature (B, N), or its part [h, z] alone, stands for."""
        image = self.decoder(feature[:, : self.config.dynamics]).float()
        return ((image + 0.5) * 255.0).clamp(0, 255).round().to(torch.uint8)
