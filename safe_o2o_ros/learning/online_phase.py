"""The update of fine-tuning: the offline one, with critics of the policy that really drives."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from safe_o2o_ros.learning import losses
from safe_o2o_ros.learning.agent import Agent
from safe_o2o_ros.learning.agent_phase import AgentPhase, Imagined
from safe_o2o_ros.learning.config import PretrainConfig
from safe_o2o_ros.learning.experience import Replay


class OnlinePhase(AgentPhase):
    """Updates on a replay; the encoder is frozen, and nothing is imagined."""

    name = "online"

    def __init__(
        self, agent: Agent, data: Replay, config: PretrainConfig, warmup: int, actor_rate: float
    ) -> None:
        """`warmup`: updates of the critics alone, since the actor's weights come from them.

        `actor_rate`: learning rate of the actor.
        """
        super().__init__(agent, None, data, config, "cpu")
        self.warmup, self.actor_rate = warmup, actor_rate

    def rates(self, step: int) -> tuple[float, float]:
        """See AgentPhase: constant, since nobody knows when it ends."""
        return self.config.agent.learning_rate, self.actor_rate

    def stage(self, step: int) -> tuple[bool, bool]:
        """See AgentPhase."""
        return True, step >= self.warmup

    def evaluation_losses(self, batch: dict[str, Tensor], imagined: Imagined | None) -> dict[str, Tensor]:
        """One step on data, then whichever of the two actors the scores choose: it is what drives."""
        agent, c = self.agent, self.config.agent
        s, a, s2 = batch["feature"], batch["action"], batch["next"]
        with torch.no_grad():
            proposals = torch.stack([batch["offline_next"], agent.actor.likeliest(s2)], 1)
            states = s2.unsqueeze(1).expand(-1, 2, -1)
            rewards = agent.targets["pi_reward"](states, proposals)
            costs = agent.targets["pi_cost"](states, proposals)
            # Ties go to the offline actor, as in policy/policy.py.
            chosen = (rewards.amin(0) - c.kappa * costs.amax(0)).argmax(1, keepdim=True)
            # The mean of the members: pessimism in the target would add up over a hundred steps, and cost
            # critics would see six units ahead where there are none.
            reward, cost = rewards.mean(0), costs.mean(0)
            reward_target = losses.td_target(
                batch["reward"], batch["cont"], reward.gather(1, chosen).squeeze(1), c.gamma
            )
            cost_target = losses.td_target(
                batch["cost"], batch["cont"], cost.gather(1, chosen).squeeze(1), c.gamma
            )
        q_r, q_c = agent.pi_reward(s, a), agent.pi_cost(s, a)
        return {
            "pi_reward": F.mse_loss(q_r, reward_target.expand_as(q_r)),
            "pi_cost": F.mse_loss(q_c, cost_target.expand_as(q_c)),
        }
