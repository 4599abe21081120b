"""Phase two: critics and actor on cached latents. Online fine-tuning calls the same update."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from safe_o2o_ros.learning import distributed, losses
from safe_o2o_ros.learning.agent import Agent, Multiplier
from safe_o2o_ros.learning.config import PretrainConfig
from safe_o2o_ros.learning.reach_phase import binary_reach_losses
from safe_o2o_ros.learning.trainer import cosine
from safe_o2o_ros.world_model.model import WorldModel
from safe_o2o_ros.world_model.rssm import RSSMState


@dataclass(frozen=True)
class Imagined:
    """Roll-outs of the actor in the world model, of H control periods."""

    feature: Tensor
    """(B, H, F); the first one of each is recorded."""
    drawn: Tensor
    """(B, H, A) the actor's draws; what was executed is clipped to the box."""
    reward_returns: Tensor
    """(B, H) lambda-returns."""
    cost_returns: Tensor
    alive: Tensor
    """(B, H) probability that the episode still goes on."""


VALUE_DRAWS = 2
"""Actions over which the value of a state is averaged, the policy gradient's baseline."""


class Batches(Protocol):
    """Where transitions come from; see Transitions."""

    def draw(self, rng: np.random.Generator, batch: int, part: slice = slice(None)) -> dict[str, Tensor]:
        """A random batch; of those drawn only `part` is returned."""
        ...


class AgentPhase:
    """Updates of all critics and of the actor."""

    name = "agent"

    def __init__(
        self,
        agent: Agent,
        world_model: WorldModel | None,
        data: Batches,
        config: PretrainConfig,
        device: str,
        action_repeat: int = 1,
    ) -> None:
        """`world_model`: None, nothing is imagined. `action_repeat`: control steps per control period, the
        unit of the limit on cost.
        """
        self.agent, self.world_model, self.data = agent, world_model, data
        self.config, self.device = config, device
        c = config.agent
        self.multiplier = Multiplier(c.multiplier, c.penalty).to(device)
        self.cost_limit = losses.discounted_limit(c.cost_limit, action_repeat, c.gamma)
        self.part = distributed.part(c.batch)
        critics = [m for name, m in agent.named_children() if name not in ("actor", "targets")]
        self.critic_terms = distributed.averaged(critics, self.critic_losses, some_unused=True)
        self.actor_terms = distributed.averaged([agent.actor], self.actor_loss)
        lr = c.learning_rate
        self.critic_optimiser = torch.optim.Adam(agent.critics(), lr=lr, fused=True)
        self.actor_optimiser = torch.optim.Adam(agent.actor.parameters(), lr=lr, fused=True)

    def modules(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """See Phase."""
        modules: dict[str, nn.Module | torch.optim.Optimizer] = {
            "agent": self.agent,
            "critic_optimiser": self.critic_optimiser,
            "actor_optimiser": self.actor_optimiser,
        }
        if self.config.agent.actor_learns == "imagination":
            modules["multiplier"] = self.multiplier
        return modules

    def update(self, step: int) -> dict[str, Tensor]:
        """See Phase."""
        c = self.config.agent
        rng = np.random.default_rng((self.config.seed, 1, step))
        batch = {k: v.to(self.device) for k, v in self.data.draw(rng, c.batch, self.part).items()}
        for group, rate in zip(self._groups(), self.rates(step), strict=True):
            group["lr"] = rate
        evaluates, acts = self.stage(step)
        dreams = acts and c.actor_learns == "imagination"
        imagined = None
        if self.world_model is not None and (dreams or (evaluates and step % c.imagine_every == 0)):
            imagined = self.imagine(batch["feature"][: max(1, c.imagine_batch // distributed.world())])
        terms = {}
        if c.in_sample or evaluates:
            terms = self.critic_terms(batch, evaluates, imagined)
            self.critic_optimiser.zero_grad(set_to_none=True)
            torch.stack(list(terms.values())).sum().backward()
            nn.utils.clip_grad_norm_(self.agent.critics(), 10.0, foreach=True)
            self.critic_optimiser.step()
            self.agent.follow(c.target_rate)
        if acts:
            loss, extra = self.actor_terms(batch, imagined if dreams else None)
            self.actor_optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.agent.actor.parameters(), 10.0, foreach=True)
            self.actor_optimiser.step()
            terms |= {"actor": loss, **extra}
        return {k: v.detach() for k, v in terms.items()}

    def _groups(self) -> list[dict[str, Any]]:
        return [*self.critic_optimiser.param_groups, *self.actor_optimiser.param_groups]

    def rates(self, step: int) -> tuple[float, float]:
        """Learning rates of critics and actor."""
        c = self.config.agent
        rate = cosine(step, c.steps, 1, c.learning_rate, 0.1 * c.learning_rate)
        return rate, rate

    def stage(self, step: int) -> tuple[bool, bool]:
        """Whether the critics that evaluate the actor train now, and whether the actor does."""
        c = self.config.agent
        return step >= c.evaluation_from * c.steps, step >= c.actor_from * c.steps

    def critic_losses(
        self, batch: dict[str, Tensor], evaluate: bool, imagined: Imagined | None
    ) -> dict[str, Tensor]:
        """What trains the critics, the two that evaluate the current actor where `evaluate`."""
        terms = self.in_sample_losses(batch) if self.config.agent.in_sample else {}
        return terms | self.evaluation_losses(batch, imagined) if evaluate else terms

    def in_sample_losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Expectile critics of reward (upper), cost and reachability (lower); data actions only."""
        agent, c = self.agent, self.config.agent
        s, a, s2 = batch["feature"], batch["action"], batch["next"]
        reach: dict[str, Tensor] = {}
        if not self.config.reach.steps:
            reach = binary_reach_losses(
                (agent.q_reach, agent.v_reach, agent.targets["q_reach"]),
                batch,
                c.gamma_reach,
                c.tau_reach,
                (c.near_m, c.near_risk),
            )
        with torch.no_grad():
            reward_target = losses.td_target(batch["reward"], batch["cont"], agent.v_reward(s2), c.gamma)
            cost_target = losses.td_target(batch["cost"], batch["cont"], agent.v_cost(s2), c.gamma)
            # Pessimism on the ensemble: the least reward, the most cost and risk.
            q_r = agent.targets["q_reward"](s, a).amin(0)
            q_c = agent.targets["q_cost"](s, a).amax(0)
        return {
            "q_reward": F.mse_loss(
                agent.q_reward(s, a), reward_target.expand(len(agent.q_reward.members), -1)
            ),
            "v_reward": losses.expectile(q_r - agent.v_reward(s), c.tau_reward).mean(),
            "q_cost": F.mse_loss(agent.q_cost(s, a), cost_target.expand(len(agent.q_cost.members), -1)),
            "v_cost": losses.expectile(q_c - agent.v_cost(s), c.tau_cost).mean(),
            **reach,
        }

    def evaluation_losses(self, batch: dict[str, Tensor], imagined: Imagined | None) -> dict[str, Tensor]:
        """Critics of the current actor: one step on data, TD(lambda) on imagined roll-outs."""
        agent, c = self.agent, self.config.agent
        s, a, s2 = batch["feature"], batch["action"], batch["next"]
        with torch.no_grad():
            a2 = agent.actor.sample(s2)
            r2 = agent.targets["pi_reward"](s2, a2).amin(0)
            c2 = agent.targets["pi_cost"](s2, a2).amax(0)
            reward_target = losses.td_target(batch["reward"], batch["cont"], r2, c.gamma)
            cost_target = losses.td_target(batch["cost"], batch["cont"], c2, c.gamma)
        q_r, q_c = agent.pi_reward(s, a), agent.pi_cost(s, a)
        terms = {
            "pi_reward": F.mse_loss(q_r, reward_target.expand_as(q_r)),
            "pi_cost": F.mse_loss(q_c, cost_target.expand_as(q_c)),
        }
        if imagined is not None:
            features, actions = imagined.feature, imagined.drawn.clamp(-1.0, 1.0)
            q_r, q_c = agent.pi_reward(features, actions), agent.pi_cost(features, actions)
            terms["pi_reward_imagined"] = F.mse_loss(q_r, imagined.reward_returns.expand_as(q_r))
            terms["pi_cost_imagined"] = F.mse_loss(q_c, imagined.cost_returns.expand_as(q_c))
        return terms

    @torch.no_grad()
    def imagine(self, feature: Tensor) -> Imagined:
        """Roll the actor out in the world model from data latents (B, F)."""
        agent, wm, c = self.agent, self.world_model, self.config.agent
        assert wm is not None
        deter, probs, _ = feature.split(wm.config.parts, -1)
        shape = (wm.config.groups, wm.config.classes)
        state = RSSMState(deter, wm.rssm.mode(probs.unflatten(-1, shape)))
        features, draws, rewards, costs, conts, v_r, v_c = [], [], [], [], [], [], []
        drawn = agent.actor.draw(feature)
        for _ in range(c.horizon):
            # The heads were trained on sampled categories, the critics on probabilities.
            action = drawn.clamp(-1.0, 1.0)
            transition = torch.cat([state.deter, state.stoch, action], -1)
            features.append(feature)
            draws.append(drawn)
            rewards.append(wm.reward.mean(transition))
            costs.append(wm.cost.mean(transition).clamp(min=0.0))
            conts.append(wm.cont.mean(transition))
            state, feature = wm.imagine(state, action)
            drawn = agent.actor.draw(feature)
            action = drawn.clamp(-1.0, 1.0)
            v_r.append(agent.targets["pi_reward"](feature, action).amin(0))
            v_c.append(agent.targets["pi_cost"](feature, action).amax(0))
        cont = torch.stack(conts, 1)
        reward_returns = losses.lambda_returns(
            torch.stack(rewards, 1), cont, torch.stack(v_r, 1), c.gamma, c.lam
        )
        cost_returns = losses.lambda_returns(torch.stack(costs, 1), cont, torch.stack(v_c, 1), c.gamma, c.lam)
        alive = torch.cumprod(torch.cat([torch.ones_like(cont[:, :1]), cont[:, :-1]], 1), 1)
        return Imagined(torch.stack(features, 1), torch.stack(draws, 1), reward_returns, cost_returns, alive)

    def actor_loss(
        self, batch: dict[str, Tensor], imagined: Imagined | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted log-likelihood of data actions, no gradient through the weights; or what was imagined."""
        if imagined is not None:
            return self.imagined_actor_loss(imagined)
        agent, c = self.agent, self.config.agent
        s, a = batch["feature"], batch["action"]
        weights, extra = self.data_weights(s, a)
        # Demonstrations are smooth, so the previous action predicts the next one better than the image
        # does, and a policy that learns that repeats itself. A wrong previous action breaks the shortcut.
        wrong = torch.rand(len(s), 1, device=s.device) < c.action_dropout
        seen = torch.where(wrong, batch["scrambled"], s)
        loss = -(weights * agent.actor.log_prob(seen, a)).mean() / weights.mean().clamp(min=1e-3)
        return loss, extra

    @torch.no_grad()
    def data_weights(self, s: Tensor, a: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Weights (B,) of recorded actions (B, A) in states (B, F), and what to log of them."""
        agent, c = self.agent, self.config.agent
        if c.weights == "equal":
            return torch.ones(len(s), device=s.device), {}
        advantage = agent.targets["q_reward"](s, a).amin(0) - agent.v_reward(s)
        # In standard deviations of the batch: the scale of advantages depends on the control period.
        scaled = advantage / advantage.std().clamp(min=1e-6)
        if c.weights == "reward":
            return losses.reward_weights(scaled, beta_r=c.beta_r, clip=c.weight_clip), {}
        risk_q, risk_v = agent.targets["q_reach"](s, a).amax(0), agent.v_reach(s)
        weights = losses.awr_weights(
            scaled,
            risk_q,
            risk_v,
            agent.v_cost(s) - agent.targets["q_cost"](s, a).amax(0),
            threshold=c.threshold,
            beta_r=c.beta_r,
            beta_h=c.beta_h,
            beta_c=c.beta_c,
            clip=c.weight_clip,
        )
        return weights, {
            "weight_zero_share": (weights == 0.0).float().mean(),
            "infeasible_share": (risk_v > c.threshold).float().mean(),
            "risk_mean": risk_q.mean(),
        }

    def imagined_actor_loss(self, imagined: Imagined) -> tuple[Tensor, dict[str, Tensor]]:
        """Policy gradient of imagined reward under the limit on cost; moves the multiplier once."""
        agent, c, m = self.agent, self.config.agent, self.multiplier
        s, a = imagined.feature.flatten(0, 1), imagined.drawn.flatten(0, 1)
        with torch.no_grad():
            reward_value, cost_value = self.state_values(s)
            # One number for all processes, so that they keep one multiplier.
            cost = reward_value.new_tensor(
                distributed.mean({"cost": float(imagined.cost_returns.mean())})["cost"]
            )
            m.value, m.penalty = losses.augmented_multiplier(
                m.value, m.penalty, cost - self.cost_limit, c.penalty_growth
            )
            advantage = losses.lagrangian_advantage(
                imagined.reward_returns.flatten() - reward_value,
                imagined.cost_returns.flatten() - cost_value,
                m.value,
            )
        gain = advantage * agent.actor.log_prob(s, a) + c.entropy * agent.actor.entropy(s)
        return -(imagined.alive.flatten() * gain).mean(), {"multiplier": m.value, "imagined_cost": cost}

    @torch.no_grad()
    def state_values(self, s: Tensor) -> tuple[Tensor, Tensor]:
        """Reward and cost to go (B,) of the current actor in states (B, F)."""
        draws = [self.agent.actor.sample(s) for _ in range(VALUE_DRAWS)]
        rewards = torch.stack([self.agent.targets["pi_reward"](s, a).amin(0) for a in draws])
        costs = torch.stack([self.agent.targets["pi_cost"](s, a).amax(0) for a in draws])
        return rewards.mean(0), costs.mean(0)
