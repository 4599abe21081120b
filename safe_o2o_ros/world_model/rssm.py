"""Recurrent state-space model with categorical latents (DreamerV3, arXiv 2301.04104)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from safe_o2o_ros.world_model.config import ModelConfig
from safe_o2o_ros.world_model.layers import MLP


@dataclass
class RSSMState:
    """A batch of states. Leading axes are free."""

    deter: Tensor
    """(..., D) recurrent state h."""
    stoch: Tensor
    """(..., G*C) one-hot categories z, flattened."""


class RSSM(nn.Module):
    """h' = GRU(h, z, a); z' ~ posterior(h', embedding) or prior(h')."""

    def __init__(self, config: ModelConfig, embedding: int) -> None:
        super().__init__()
        self.config = config
        units = config.units
        self.inputs = nn.Sequential(
            nn.Linear(config.stoch + config.action_dim, units), nn.LayerNorm(units), nn.SiLU()
        )
        self.gates = nn.Linear(units + config.deter, 3 * config.deter, bias=False)
        self.gates_norm = nn.LayerNorm(3 * config.deter)
        self.prior_net = MLP(config.deter, config.stoch, units, layers=1)
        self.posterior_net = MLP(config.deter + embedding, config.stoch, units, layers=1)

    def initial(self, batch: int, device: torch.device | str = "cpu") -> RSSMState:
        """Zero state (B, ...)."""
        return RSSMState(
            torch.zeros(batch, self.config.deter, device=device),
            torch.zeros(batch, self.config.stoch, device=device),
        )

    def recur(self, state: RSSMState, action: Tensor) -> Tensor:
        """Next deterministic state (B, D) from the state and the effective action (B, A)."""
        x = self.inputs(torch.cat([state.stoch, action], -1))
        gates = self.gates_norm(self.gates(torch.cat([x, state.deter], -1)))
        reset, candidate, update = gates.chunk(3, -1)
        candidate = torch.tanh(torch.sigmoid(reset) * candidate)
        update = torch.sigmoid(update - 1.0)  # the bias keeps memory at the start of training
        return update * candidate + (1.0 - update) * state.deter

    def prior(self, deter: Tensor) -> Tensor:
        """Log-probabilities (..., G, C) before seeing the image."""
        return self._log_probs(self.prior_net(deter))

    def posterior(self, deter: Tensor, embedding: Tensor) -> Tensor:
        """Log-probabilities (..., G, C) after seeing the image."""
        return self._log_probs(self.posterior_net(torch.cat([deter, embedding], -1)))

    def _log_probs(self, logits: Tensor) -> Tensor:
        shaped = logits.unflatten(-1, (self.config.groups, self.config.classes)).float()
        mix = self.config.unimix
        return torch.log(F.softmax(shaped, -1) * (1.0 - mix) + mix / self.config.classes)

    def sample(self, log_probs: Tensor) -> Tensor:
        """Straight-through one-hot sample, flattened (..., G*C)."""
        # Gumbel-max: one pass, no CPU-bound multinomial.
        noise = -torch.log(-torch.log(torch.rand_like(log_probs).clamp_(1e-9, 1.0 - 1e-7)))
        hard = F.one_hot((log_probs + noise).argmax(-1), self.config.classes).to(log_probs.dtype)
        probs = log_probs.exp()
        return (hard + probs - probs.detach()).flatten(-2)

    def mode(self, log_probs: Tensor) -> Tensor:
        """One-hot of the likeliest classes, flattened (..., G*C)."""
        return F.one_hot(log_probs.argmax(-1), self.config.classes).to(log_probs.dtype).flatten(-2)

    def observe(
        self, embedding: Tensor, action: Tensor, is_first: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Filter a batch of sequences.

        embedding (B, T, E); action (B, T, A) effective, executed *before* each image; is_first (B, T).
        Returns deter (B, T, D), stoch samples (B, T, G*C), posterior and prior log-probs (B, T, G, C).
        """
        state = self.initial(embedding.shape[0], embedding.device)
        deters, stochs, posts = [], [], []
        for t in range(embedding.shape[1]):
            keep = 1.0 - is_first[:, t, None]
            state = RSSMState(state.deter * keep, state.stoch * keep)
            deter = self.recur(state, action[:, t] * keep)
            post = self.posterior(deter, embedding[:, t])
            state = RSSMState(deter, self.sample(post))
            deters.append(deter)
            stochs.append(state.stoch)
            posts.append(post)
        deter = torch.stack(deters, 1)
        return deter, torch.stack(stochs, 1), torch.stack(posts, 1), self.prior(deter)

    def imagine(self, state: RSSMState, action: Tensor) -> tuple[RSSMState, Tensor]:
        """One step without an image: the sampled state, and the feature (B, D + G*C) of probabilities."""
        deter = self.recur(state, action)
        prior = self.prior(deter)
        return RSSMState(deter, self.sample(prior)), torch.cat([deter, prior.exp().flatten(-2)], -1)


def kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) in nats, summed over groups; log-probs (..., G, C) -> (...)."""
    return (p.exp() * (p - q)).sum((-2, -1))
