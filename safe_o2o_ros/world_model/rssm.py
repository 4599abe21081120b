"""Recurrent state-space model with categorical latents (DreamerV3, arXiv 2301.04104)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from safe_o2o_ros.world_model.config import ModelConfig
from safe_o2o_ros.world_model.layers import MLP
from safe_o2o_ros.world_model.recurrence import StepLinear


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
        return _gated(self.gates_norm(self.gates(torch.cat([x, state.deter], -1))), state.deter)

    def prior(self, deter: Tensor) -> Tensor:
        """Log-probabilities (..., G, C) before seeing the image."""
        return self._log_probs(self.prior_net(deter))

    def posterior(self, deter: Tensor, embedding: Tensor) -> Tensor:
        """Log-probabilities (..., G, C) after seeing the image."""
        return self._log_probs(self.posterior_net(torch.cat([deter, embedding], -1)))

    def _log_probs(self, logits: Tensor) -> Tensor:
        return torch.log(self._probs(logits))

    def _probs(self, logits: Tensor) -> Tensor:
        shaped = logits.unflatten(-1, (self.config.groups, self.config.classes)).float()
        mix = self.config.unimix
        return F.softmax(shaped, -1) * (1.0 - mix) + mix / self.config.classes

    def sample(self, log_probs: Tensor) -> Tensor:
        """Straight-through one-hot sample, flattened (..., G*C)."""
        return _drawn(log_probs.exp(), _races(log_probs.shape, log_probs.device))

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
        c = self.config
        keep = 1.0 - is_first.unsqueeze(-1)
        # What does not wait for the state is computed for all steps at once.
        enter, see = cast(nn.Linear, self.inputs[0]), cast(nn.Linear, self.posterior_net[0])
        acted = F.linear(action * keep, enter.weight[:, c.stoch :], enter.bias)
        seen = F.linear(embedding, see.weight[:, c.deter :], see.bias)
        races = _races((*embedding.shape[:2], c.groups, c.classes), embedding.device)
        from_stoch, from_deter = StepLinear(enter.weight[:, : c.stoch]), StepLinear(see.weight[:, : c.deter])
        gates, last = StepLinear(self.gates.weight), cast(nn.Linear, self.posterior_net[3])
        logits = StepLinear(last.weight, last.bias)
        state = self.initial(embedding.shape[0], embedding.device)
        deter, stoch = state.deter, state.stoch
        deters, stochs, posts = [], [], []
        for acted_t, seen_t, keep_t, race in zip(
            acted.unbind(1), seen.unbind(1), keep.unbind(1), races.unbind(1), strict=True
        ):
            deter = deter * keep_t
            x = F.silu(self.inputs[1](acted_t + from_stoch(stoch * keep_t)))
            deter = _gated(self.gates_norm(gates(torch.cat([x, deter], -1))), deter)
            hidden = F.silu(self.posterior_net[1](seen_t + from_deter(deter)))
            post = self._probs(logits(hidden))
            stoch = _drawn(post, race)
            deters.append(deter)
            stochs.append(stoch)
            posts.append(post)
        states = torch.stack(deters, 1)
        return states, torch.stack(stochs, 1), torch.log(torch.stack(posts, 1)), self.prior(states)

    def imagine(self, state: RSSMState, action: Tensor) -> tuple[RSSMState, Tensor]:
        """One step without an image: the sampled state, and the feature (B, D + G*C) of probabilities."""
        deter = self.recur(state, action)
        probs = self._probs(self.prior_net(deter))
        stoch = _drawn(probs, _races(probs.shape, probs.device))
        return RSSMState(deter, stoch), torch.cat([deter, probs.flatten(-2)], -1)


def _gated(gates: Tensor, deter: Tensor) -> Tensor:
    """The recurrent state (B, D) after `gates` (B, 3D): reset, candidate, update."""
    reset, candidate, update = gates.chunk(3, -1)
    candidate = torch.tanh(torch.sigmoid(reset) * candidate)
    update = torch.sigmoid(update - 1.0)  # the bias keeps memory at the start of training
    return update * candidate + (1.0 - update) * deter


def _races(shape: Sequence[int], device: torch.device) -> Tensor:
    """Exponential waiting times: the class with the least time / probability is a draw from the classes."""
    return torch.empty(tuple(shape), device=device).exponential_()


def _drawn(probs: Tensor, races: Tensor) -> Tensor:
    """One-hot draw (..., G*C) from `probs` (..., G, C), with their gradient."""
    best = (probs.detach() / races).argmax(-1, keepdim=True)
    hard = torch.zeros_like(races).scatter_(-1, best, 1.0)
    return (probs + (hard - probs.detach())).flatten(-2)


def kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) in nats, summed over groups; log-probs (..., G, C) -> (...)."""
    return (p.exp() * (p - q)).sum((-2, -1))
