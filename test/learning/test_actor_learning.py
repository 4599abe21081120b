"""The actor's ways to learn: the weights of every method, and the policy gradient under a limit on cost."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from safe_o2o_ros.learning import losses
from safe_o2o_ros.learning.agent import Agent
from safe_o2o_ros.learning.agent_phase import AgentPhase, Imagined
from safe_o2o_ros.learning.config import PretrainConfig, resolve
from safe_o2o_ros.learning.latents import Latents
from safe_o2o_ros.learning.methods import METHODS, configured, twins
from safe_o2o_ros.learning.trainer import run_phase
from safe_o2o_ros.learning.transitions import Transitions
from safe_o2o_ros.world_model.actor import Actor
from safe_o2o_ros.world_model.config import ModelConfig
from safe_o2o_ros.world_model.model import LossScales, WorldModel

SETTINGS = {
    "agent.threshold": "0.3",
    "agent.beta_r": "0.5",
    "agent.beta_h": "0.1",
    "agent.weight_clip": "3",
    "agent.tau_reward": "0.75",
    "agent.tau_cost": "0.25",
    "agent.tau_reach": "0.125",
}
BASE = resolve("debug", SETTINGS)


class Table(nn.Module):
    """A critic that knows the answer for every row of the batch, asked with or without an action."""

    def __init__(self, values: list[float], members: bool) -> None:
        super().__init__()
        self.values = torch.tensor([values, values]) if members else torch.tensor(values)

    def forward(self, feature: Tensor, action: Tensor | None = None) -> Tensor:
        return self.values


def phase(config: PretrainConfig, rows: int = 4) -> AgentPhase:
    torch.manual_seed(0)
    width = config.model.feature
    latents = Latents(torch.zeros(rows, width), torch.zeros(rows, width), torch.zeros(rows))
    flat = torch.zeros(rows)
    data = Transitions(latents, torch.zeros(rows, 2), flat, flat, flat, flat, torch.arange(rows - 1))
    return AgentPhase(
        Agent(config.model), WorldModel(config.model, LossScales()), data, config, "cpu", action_repeat=4
    )


def data_weights(method: str) -> list[float]:
    """Of four recorded actions: good and safe, better and unsafe, of an infeasible state, bad and safe."""
    p = phase(configured(method, BASE))
    agent = p.agent
    # Advantages 1, 3, -1, -3: their standard deviation is sqrt(20 / 3).
    agent.targets["q_reward"] = Table([1.0, 3.0, -1.0, -3.0], members=True)
    agent.v_reward = Table([0.0] * 4, members=False)  # type: ignore[assignment]
    agent.targets["q_reach"] = Table([0.1, 0.5, 0.4, 0.0], members=True)
    agent.v_reach = Table([0.1, 0.1, 0.5, 0.1], members=False)  # type: ignore[assignment]
    agent.targets["q_cost"] = Table([0.0] * 4, members=True)
    agent.v_cost = Table([0.0] * 4, members=False)  # type: ignore[assignment]
    s, a = torch.zeros(4, BASE.model.feature), torch.zeros(4, 2)
    weights: list[float] = p.data_weights(s, a)[0].tolist()
    return weights


UNIT = math.exp(2.0 / math.sqrt(20.0 / 3.0))
"""Weight of the advantage 1: beta_r is 0.5."""


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("ours", [UNIT, 0.0, math.e, UNIT**-3]),
        ("lower_reward_expectile", [UNIT, 0.0, math.e, UNIT**-3]),
        ("reward_only", [UNIT, UNIT**3, 1.0 / UNIT, UNIT**-3]),
        ("no_reach_weight", [UNIT, UNIT**3, 1.0 / UNIT, UNIT**-3]),
        ("clone", [1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_weights_of_every_method_by_hand(method: str, expected: list[float]) -> None:
    assert data_weights(method) == pytest.approx(expected, rel=1e-5)


def test_a_method_changes_what_it_says_and_nothing_else() -> None:
    changed = {}
    for name in METHODS:
        config = configured(name, BASE)
        assert dataclasses.replace(config, agent=BASE.agent) == BASE
        before, after = vars(BASE.agent), vars(config.agent)
        changed[name] = {key: after[key] for key in after if after[key] != before[key]}
    assert changed == {
        "ours": {},
        "clone": {"weights": "equal", "driver": "actor", "actor_from": 0.0, "evaluation_from": 1.0},
        "reward_only": {"weights": "reward", "driver": "critics", "risk_price": 0.0},
        "lagrangian": {
            "actor_learns": "imagination",
            "driver": "actor",
            "evaluation_from": 0.0,
            "imagine_every": 1,
        },
        "lower_reward_expectile": {"tau_reward": 0.25},
        "upper_safety_expectile": {"tau_cost": 0.75, "tau_reach": 0.875},
        "no_reach_weight": {"weights": "reward"},
        "no_data_critics": {"driver": "actor"},
        "reward_critics": {"driver": "critics", "risk_price": 16.0},
        "no_margin_head": {"margin_near_m": 0.0},
        "policy_critics": {"driver": "policy_critics", "evaluation_from": 0.2},
    }


def test_methods_that_differ_at_deployment_alone_share_their_training() -> None:
    assert {name: twins(name, BASE) for name in METHODS if twins(name, BASE)} == {
        "ours": ["no_data_critics", "reward_critics", "no_margin_head"],
        "no_data_critics": ["ours", "reward_critics", "no_margin_head"],
        "reward_critics": ["ours", "no_data_critics", "no_margin_head"],
        "no_margin_head": ["ours", "no_data_critics", "reward_critics"],
        "reward_only": ["no_reach_weight"],
        "no_reach_weight": ["reward_only"],
    }


@pytest.mark.parametrize(("method", "critics", "multiplier"), [("clone", 0, False), ("lagrangian", 2, True)])
def test_a_method_trains_only_the_critics_it_asks(method: str, critics: int, multiplier: bool) -> None:
    p = phase(configured(method, BASE), rows=40)
    before = {name: value.clone() for name, value in p.agent.state_dict().items()}
    for step in (0, 19):
        torch.manual_seed(step)
        p.update(step)
    moved = {name.split(".")[0] for name, value in p.agent.state_dict().items()
             if not name.startswith("targets") and not torch.equal(value, before[name])}  # fmt: skip
    assert moved == {"actor"} | ({"pi_reward", "pi_cost"} if critics else set())
    assert ("multiplier" in p.modules()) is multiplier


def test_the_limit_on_cost_is_the_discounted_sum_of_its_rate() -> None:
    # 2 in 1000 steps of 4 a period are 0.008 a period; 0.008 / (1 - 0.99) = 0.8.
    assert losses.discounted_limit(2.0, action_repeat=4, gamma=0.99) == pytest.approx(0.8)
    assert losses.discounted_limit(2.0, action_repeat=4, gamma=1.0) == math.inf


@pytest.mark.parametrize(
    ("multiplier", "penalty", "excess", "expected"),
    [(0.5, 0.1, 2.0, (0.7, 0.11)), (0.5, 0.1, -2.0, (0.3, 0.11)), (0.1, 0.1, -2.0, (0.0, 0.11)),
     (0.5, 0.95, 0.0, (0.5, 1.0))],
)  # fmt: skip
def test_the_multiplier_follows_the_excess_and_never_pays_for_cost(
    multiplier: float, penalty: float, excess: float, expected: tuple[float, float]
) -> None:
    following = losses.augmented_multiplier(
        torch.tensor(multiplier), torch.tensor(penalty), torch.tensor(excess), growth=0.1
    )
    assert tuple(map(float, following)) == pytest.approx(expected)


def test_the_advantage_of_reward_at_a_price_of_cost_by_hand() -> None:
    advantage = losses.lagrangian_advantage(
        torch.tensor([2.0, 0.0]), torch.tensor([3.0, 0.0]), torch.tensor(2.0)
    )
    # 2 - 2 * 3 = -4 and 0: around their mean -2, deviation sqrt(8).
    assert advantage.tolist() == pytest.approx([-2.0 / math.sqrt(8.0), 2.0 / math.sqrt(8.0)])


def test_entropy_of_one_gaussian_is_exact() -> None:
    torch.manual_seed(0)
    actor = Actor(ModelConfig(depth=2, deter=3, groups=1, classes=2, units=4, components=1))
    feature = torch.randn(3, 133)
    _, _, std = actor(feature)
    expected = torch.distributions.Normal(0.0, std[:, 0]).entropy().sum(-1)
    torch.testing.assert_close(actor.entropy(feature), expected)


def forward_share(multiplier: float) -> tuple[float, float]:
    """Mean first action, before and after learning where forward earns 1 and costs 1, backward nothing."""
    # No penalty: the price stays what it is.
    settings = SETTINGS | {"agent.penalty": "0", "agent.multiplier": str(multiplier)}
    p = phase(configured("lagrangian", resolve("debug", settings)))
    state = torch.zeros(64, 1, BASE.model.feature)

    def mean() -> float:
        torch.manual_seed(1)
        return float(p.agent.actor.sample(state[:, 0]).detach()[:, 0].mean())

    before = mean()
    optimiser = torch.optim.Adam(p.agent.actor.parameters(), lr=3e-3)
    for step in range(60):
        torch.manual_seed(step)
        drawn = p.agent.actor.draw(state[:, 0]).unsqueeze(1)
        forward = (drawn[..., 0] > 0.0).float()
        loss, _ = p.imagined_actor_loss(Imagined(state, drawn, forward, forward, torch.ones(64, 1)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return before, mean()


def test_imagination_raises_the_better_action_and_a_higher_price_lowers_the_cost() -> None:
    before, cheap = forward_share(multiplier=0.0)
    assert cheap > before + 0.2
    before, dear = forward_share(multiplier=3.0)
    assert dear < before - 0.2


def test_the_multiplier_rises_while_the_imagined_cost_is_above_the_limit() -> None:
    p = phase(configured("lagrangian", resolve("debug", SETTINGS | {"agent.penalty": "0.1"})))
    state, drawn = torch.zeros(8, 2, BASE.model.feature), torch.zeros(8, 2, 2)

    def price(cost: float) -> float:
        returns = torch.full((8, 2), cost)
        _, extra = p.imagined_actor_loss(Imagined(state, drawn, returns, returns, torch.ones(8, 2)))
        return float(extra["multiplier"])

    # The limit is 0.8 (see above), the start 0.01; the penalty grows by 1e-4 an update.
    assert price(1.8) == pytest.approx(0.11)
    assert price(0.8) == pytest.approx(0.11)
    assert price(0.3) == pytest.approx(0.11 - 0.5 * 0.1 * 1.0001**2)


def test_imagined_roll_outs_stay_in_the_box_and_begin_where_they_are_told() -> None:
    p = phase(configured("lagrangian", BASE))
    start = torch.rand(5, BASE.model.feature)
    imagined = p.imagine(start)
    assert torch.equal(imagined.feature[:, 0], start)
    assert imagined.drawn.shape == (5, BASE.agent.horizon, 2)
    assert imagined.alive[:, 0].tolist() == [1.0] * 5
    # An untrained continue head says 1/2.
    assert imagined.alive[0].tolist() == pytest.approx([0.5**t for t in range(BASE.agent.horizon)])


def test_an_interrupted_run_ends_in_the_same_weights_and_multiplier(tmp_path: Path) -> None:
    config = configured("lagrangian", BASE)

    def to(steps: int, path: Path) -> AgentPhase:
        p = phase(config, rows=40)
        run_phase(p, steps, 0, path, 10, lambda *_: None, lambda *_: None)
        return p

    to(10, tmp_path / "a.pt")
    resumed, whole = to(20, tmp_path / "a.pt"), to(20, tmp_path / "b.pt")
    assert float(whole.multiplier.value) != config.agent.multiplier
    for name in ("agent", "multiplier"):
        first, second = (p.modules()[name].state_dict() for p in (resumed, whole))
        assert all(torch.equal(first[key], second[key]) for key in first)
