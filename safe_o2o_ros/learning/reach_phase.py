"""Reachability alone: many cheap updates of risk(s, a) and of what acting safely leaves of it.

Two forms of one estimate (method.md), both read as a risk in [0, 1], where higher is worse:

* binary, from costs: phi_Q(s, a) -> max(1[c > 0], gamma phi_V(s')).
* margin, where a signed distance l to what costs is known (the safety Bellman equation, Fisac et al., ICRA
  2019): V(s, a) -> (1 - gamma) l(s) + gamma min(l(s), V(s')), risk = sigmoid(-V / scale_m), so that 1/2
  stands for "touches by a hair".
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from safe_o2o_ros.learning import distributed, losses
from safe_o2o_ros.learning.agent import follow
from safe_o2o_ros.learning.config import ReachTraining
from safe_o2o_ros.learning.trainer import cosine
from safe_o2o_ros.learning.transitions import Transitions
from safe_o2o_ros.world_model.critics import QEnsemble, VCritic


class ReachPhase:
    """Updates of the reachability critics on transitions."""

    name = "reach"

    def __init__(
        self,
        q_reach: QEnsemble,
        v_reach: VCritic,
        target: nn.Module,
        data: Transitions,
        config: ReachTraining,
        seed: int,
        device: str = "cpu",
    ) -> None:
        """`target`: the slow copy of `q_reach`, changed here too."""
        self.q_reach, self.v_reach = q_reach, v_reach
        self.target = cast(QEnsemble, target)
        self.data, self.config, self.seed, self.device = data, config, seed, device
        self.part = distributed.part(config.batch)
        self.terms = distributed.averaged([q_reach, v_reach], self.losses)
        parameters = [*q_reach.parameters(), *v_reach.parameters()]
        self.optimiser = torch.optim.Adam(parameters, lr=config.learning_rate, fused=True)

    def modules(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """See Phase."""
        return {
            "q_reach": self.q_reach,
            "v_reach": self.v_reach,
            "target": self.target,
            "optimiser": self.optimiser,
        }

    def update(self, step: int) -> dict[str, Tensor]:
        """See Phase."""
        c = self.config
        rng = np.random.default_rng((self.seed, 2, step))
        batch = {k: v.to(self.device) for k, v in self.data.draw(rng, c.batch, self.part).items()}
        for group in self.optimiser.param_groups:
            group["lr"] = cosine(step, c.steps, 1, c.learning_rate, 0.03 * c.learning_rate)
        terms = self.terms(batch, discount(c, step / max(1, c.steps)))
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        self.optimiser.step()
        follow(self.target, self.q_reach, c.target_rate)
        return {k: v.detach() for k, v in terms.items()}

    def losses(self, batch: dict[str, Tensor], gamma: float) -> dict[str, Tensor]:
        """Of both critics, on data actions only."""
        c, s, a, s2 = self.config, batch["feature"], batch["action"], batch["next"]
        if c.form == "binary":
            critics = (self.q_reach, self.v_reach, self.target)
            return binary_reach_losses(critics, batch, gamma, c.tau, (c.near_m, c.near_risk))
        with torch.no_grad():
            here = torch.clamp(batch["margin_here"], -c.clip_m, c.clip_m) / c.scale_m
            ahead = -self.v_reach.logits(s2)
            goal = losses.safety_bellman_target(here, batch["cont"], ahead, gamma)
            # The mean: pessimism would add up over the many steps back from the edge, and certification asks
            # the most worried member anyway.
            least = -self.target.logits(s, a).mean(0)
        q = -self.q_reach.logits(s, a)
        # In units of scale_m, on the logits: a sigmoid would squash what is learned away from the edge.
        return {
            "q_reach": F.smooth_l1_loss(q, goal.expand_as(q)),
            "v_reach": losses.expectile(least + self.v_reach.logits(s), 1.0 - c.tau).mean(),
        }


def binary_reach_losses(
    critics: tuple[nn.Module, nn.Module, nn.Module],
    batch: dict[str, Tensor],
    gamma: float,
    tau: float,
    near: tuple[float, float],
) -> dict[str, Tensor]:
    """The binary form; `critics`: phi_Q, phi_V and the slow copy of phi_Q, `near`: see losses.harm."""
    q_reach, v_reach, target = critics
    s, a = batch["feature"], batch["action"]
    with torch.no_grad():
        label = losses.harm(batch["cost"], batch["margin"], *near)
        goal = losses.reachability_target(label, batch["cont"], v_reach(batch["next"]), gamma)
        # Pessimism on the ensemble: the most worried member counts.
        most = target(s, a).amax(0)
    q = q_reach(s, a).clamp(1e-6, 1 - 1e-6)
    # Cross-entropy: the target is a probability, and its gradient does not vanish at 0 and 1.
    return {
        "q_reach": F.binary_cross_entropy(q, goal.expand_as(q)),
        "v_reach": losses.expectile(most - v_reach(s), tau).mean(),
    }


def discount(config: ReachTraining, done: float) -> float:
    """gamma after the share `done` of the updates: 1 - gamma shrinks geometrically from first to last.

    A discount near 1 from the start would bootstrap on what is not known yet; and only near 1 the sign of V
    is the exact one. It stays at the last value for the last 30 %.
    """
    share = min(1.0, done / 0.7)
    first, last = 1.0 - config.gamma_first, 1.0 - config.gamma
    return 1.0 - math.exp((1.0 - share) * math.log(first) + share * math.log(last))
