"""What the critics are regressed to, from recorded ends of episodes to the numbers of each loss.

A critic starts with no weight on its inputs, so the bias of its last layer is its value everywhere.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_store import write_tiny_store
from torch import Tensor, nn

from safe_o2o_ros.learning.agent import Agent
from safe_o2o_ros.learning.agent_phase import AgentPhase
from safe_o2o_ros.learning.config import PretrainConfig, resolve
from safe_o2o_ros.learning.dataset import load_dataset
from safe_o2o_ros.learning.latents import Latents
from safe_o2o_ros.learning.pretrain import transitions
from safe_o2o_ros.learning.transitions import Transitions
from safe_o2o_ros.world_model.model import WorldModel

SETTINGS = {
    "agent.gamma": "0.9",
    "agent.gamma_reach": "0.9",
    "agent.tau_reward": "0.8",
    "agent.tau_cost": "0.3",
    "agent.tau_reach": "0.2",
    "agent.threshold": "0.1",
}


def say(nets: nn.Module | Sequence[nn.Module], *values: float) -> None:
    """Make each network output its value for every input."""
    for net, value in zip([nets] if isinstance(nets, nn.Module) else nets, values, strict=True):
        nn.init.constant_(net[-1].bias, value)


def logit(p: float) -> float:
    return math.log(p / (1.0 - p))


@pytest.fixture
def phase() -> AgentPhase:
    """Two-member ensembles that say two different things, and data that is not used."""
    torch.manual_seed(0)
    config = resolve("debug", SETTINGS)
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, ensemble=2))
    agent = Agent(config.model)
    say(agent.v_reward.net, 2.0)
    say(agent.v_cost.net, 3.0)
    say(agent.v_reach.net, logit(0.5))
    say(list(agent.targets["q_reward"].members), 5.0, 4.0)
    say(list(agent.targets["q_cost"].members), 1.0, 2.0)
    say(list(agent.targets["q_reach"].members), logit(0.6), logit(0.9))
    say(list(agent.q_reach.members), logit(0.25), logit(0.25))
    return make_phase(agent, config)


def make_phase(agent: Agent, config: PretrainConfig) -> AgentPhase:
    none = torch.zeros(0)
    data = Transitions(Latents(none, none, none), none, none, none, none, none, none)
    return AgentPhase(agent, WorldModel(config.model, config.scales), data, config, "cpu")


def batch(phase: AgentPhase, **columns: list[float]) -> dict[str, Tensor]:
    """A batch of as many transitions as the columns have rows; reward, cost 0, cont 1, margin unknown."""
    rows = len(next(iter(columns.values())))
    feature = torch.randn(rows, phase.config.model.feature)
    numbers = {
        "reward": [0.0] * rows,
        "cost": [0.0] * rows,
        "cont": [1.0] * rows,
        "margin": [math.nan] * rows,
    }
    return {
        "feature": feature,
        "scrambled": feature,
        "next": feature,
        "action": torch.zeros(rows, phase.config.model.action_dim),
        **{name: torch.tensor(values) for name, values in (numbers | columns).items()},
    }


def test_the_last_step_before_a_time_limit_bootstraps_and_a_termination_does_not(phase: AgentPhase) -> None:
    terms = phase.in_sample_losses(batch(phase, reward=[1.0, 1.0], cost=[0.0, 1.0], cont=[1.0, 0.0]))
    # Reward: 1 + 0.9 * 2 = 2.8 and 1, against 0. Cost: 0 + 0.9 * 3 = 2.7 and 1, against 0.
    assert terms["q_reward"].item() == pytest.approx((2.8**2 + 1.0) / 2)
    assert terms["q_cost"].item() == pytest.approx((2.7**2 + 1.0) / 2)
    # Reachability: 0.9 * 0.5 = 0.45 and, where it cost, 1; cross-entropy against 0.25.
    near = -(0.45 * math.log(0.25) + 0.55 * math.log(0.75))
    assert terms["q_reach"].item() == pytest.approx((near - math.log(0.25)) / 2, rel=1e-5)


def test_rewards_are_regressed_to_the_upper_side_costs_and_risk_to_the_lower(phase: AgentPhase) -> None:
    terms = phase.in_sample_losses(batch(phase, reward=[0.0]))
    # The least reward of the ensemble, 4, is 2 above V: tau 0.8. The most cost, 2, is 1 below V: 1 - 0.3.
    assert terms["v_reward"].item() == pytest.approx(0.8 * 2.0**2)
    assert terms["v_cost"].item() == pytest.approx(0.7 * 1.0**2)
    # The most risk, 0.9, is 0.4 above V: tau 0.2.
    assert terms["v_reach"].item() == pytest.approx(0.2 * 0.4**2, rel=1e-5)
    for profile in ("debug", "small", "paper"):
        agent = resolve(profile, {}).agent
        assert agent.tau_reward > 0.5 > max(agent.tau_cost, agent.tau_reach)


def test_no_gradient_flows_into_a_target(phase: AgentPhase) -> None:
    terms = phase.in_sample_losses(batch(phase, reward=[1.0], cost=[1.0]))
    (terms["q_reward"] + terms["q_cost"] + terms["q_reach"]).backward()
    agent = phase.agent
    values = [p for v in (agent.v_reward, agent.v_cost, agent.v_reach) for p in v.parameters()]
    assert all(p.grad is None for p in (*values, *agent.targets.parameters()))
    assert all(m[-1].bias.grad.abs() > 0 for m in agent.q_reward.members)


def test_an_action_that_leaves_the_feasible_set_teaches_the_actor_nothing(phase: AgentPhase) -> None:
    say(phase.agent.v_reach.net, logit(0.05))  # feasible states, and every recorded action has risk 0.9
    loss, extra = phase.actor_loss(batch(phase, reward=[0.0, 0.0]))
    assert loss.item() == 0.0
    assert float(extra["weight_zero_share"]) == 1.0 and float(extra["infeasible_share"]) == 0.0


def test_equal_actions_in_the_feasible_set_are_imitated_alike(phase: AgentPhase) -> None:
    say(phase.agent.v_reach.net, logit(0.05))
    say(list(phase.agent.targets["q_reach"].members), logit(0.05), logit(0.09))
    rows = batch(phase, reward=[0.0, 0.0])
    loss, extra = phase.actor_loss(rows)
    expected = -phase.agent.actor.log_prob(rows["feature"], rows["action"]).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert float(extra["weight_zero_share"]) == 0.0


def test_recorded_ends_reach_the_critics_as_they_are(tmp_path: Path) -> None:
    write_tiny_store(tmp_path, (6, 4, 3))  # the second one ends by termination, the others by time limit
    data = load_dataset(tmp_path, 1)
    data = dataclasses.replace(data, margin=np.arange(16, dtype=np.float32))
    row = torch.arange(16.0)[:, None]
    drawn = transitions(Latents(row, row, row[:, 0]), data).draw(np.random.default_rng(0), 2000)
    first = drawn["feature"][:, 0]
    # Every row with an action; the last rows of the episodes (6, 11, 15) only ever follow one.
    assert first.unique().tolist() == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 14]
    assert torch.equal(drawn["next"][:, 0], first + 1)
    assert torch.equal(drawn["margin"], first + 1)  # harm is judged where the action led
    assert torch.equal(drawn["cont"], (first != 10).float())
    assert torch.equal(drawn["reward"], torch.from_numpy(data.reward)[first.long()])
