"""What an actor proposes, and how its critics choose."""

import pytest
import torch
from torch import Tensor, nn

from safe_o2o_ros.world_model.actor import Actor, PerceptActor
from safe_o2o_ros.world_model.config import ModelConfig
from safe_o2o_ros.world_model.export import PolicyGraph, Prices

CONFIG = ModelConfig(depth=2, deter=3, groups=1, classes=2, units=4, components=2)


class FixedActor(Actor):
    """Two components with given weights: (0.8, 0) and (-0.8, 0), both with deviation 0.1."""

    def __init__(self, weights: tuple[float, float]) -> None:
        super().__init__(CONFIG)
        self.weights = torch.tensor(weights)

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        batch = len(feature)
        mean = torch.tensor([[0.8, 0.0], [-0.8, 0.0]]).expand(batch, 2, 2)
        return self.weights.log().expand(batch, 2), mean, torch.full((batch, 2, 2), 0.1)


class Linear(nn.Module):
    """An ensemble of one critic: slope times the first action channel."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, feature: Tensor, action: Tensor) -> Tensor:
        return self.slope * action[..., 0].unsqueeze(0)


class Risk(Linear):
    """Not an ensemble: offset + slope times the first action channel."""

    def __init__(self, slope: float, offset: float = 0.0) -> None:
        super().__init__(slope)
        self.offset = offset

    def forward(self, feature: Tensor, action: Tensor) -> Tensor:
        return self.offset + self.slope * action[..., 0]


def chosen(
    weights: tuple[float, float],
    reward: float,
    risk: Risk,
    price: float,
    certified: float = 1.0,
    by: str = "critics",
) -> list[float]:
    zero = Linear(0.0)
    graph = PolicyGraph(
        [FixedActor(weights)],
        (Linear(reward), risk),  # type: ignore[arg-type]
        (zero, zero),  # type: ignore[arg-type]
        Prices(risk=price, kappa=1.0, sigma=1.0, by=by, certified=certified),
    )
    actions, _ = graph(torch.zeros(1, CONFIG.feature))
    return actions[0, 0].tolist()


def test_proposals_are_means_half_means_and_one_deviation_to_every_side():
    actions, log_weight = FixedActor((0.75, 0.25)).proposals(torch.zeros(1, CONFIG.feature))
    first = actions[0, ::2].tolist()  # of the first component
    expected = [[0.8, 0.0], [0.4, 0.0], [0.9, 0.0], [0.7, 0.0], [0.8, 0.1], [0.8, -0.1]]
    for action, want in zip(first, expected, strict=True):
        assert action == pytest.approx(want)
    assert log_weight.exp()[0, :2].tolist() == pytest.approx([0.75, 0.25])


def test_without_a_price_the_most_rewarding_proposal_is_taken():
    assert chosen((0.5, 0.5), reward=1.0, risk=Risk(1.0), price=0.0) == pytest.approx([0.9, 0.0])


def test_a_price_of_risk_turns_the_choice_around():
    assert chosen((0.5, 0.5), reward=1.0, risk=Risk(1.0), price=3.0) == pytest.approx([-0.9, 0.0])


def test_a_component_that_the_data_hardly_supports_is_not_considered():
    assert chosen((0.95, 0.05), reward=-1.0, risk=Risk(0.0), price=0.0) == pytest.approx([0.4, 0.0])


def test_the_likeliest_certified_proposal_is_taken_whatever_the_critics_of_reward_say():
    risk = Risk(0.5, offset=0.5)  # 0.9 of the mean 0.8, 0.7 of half of it, 0.1 of the mean -0.8
    arguments = {"reward": 1.0, "risk": risk, "price": 100.0, "by": "certified"}
    assert chosen((0.6, 0.4), **arguments, certified=0.95) == pytest.approx([0.8, 0.0])
    assert chosen((0.6, 0.4), **arguments, certified=0.75) == pytest.approx([-0.8, 0.0])
    # Half of a very likely mean counts more than another mean: ln(0.85) - 0.7 > ln(0.15).
    assert chosen((0.85, 0.15), **arguments, certified=0.75) == pytest.approx([0.4, 0.0])
    # The unlikeliest component counts e^-4: not enough to go before half of a very likely mean.
    assert chosen((0.999, 0.001), **arguments, certified=0.75) == pytest.approx([0.4, 0.0])
    assert chosen((0.999, 0.001), **arguments, certified=0.55) == pytest.approx([-0.8, 0.0])


def test_where_no_proposal_is_certified_any_action_may_be_taken():
    # Down to -0.9 is proposed, of risk 0.15; the grid goes to -1, of risk 0.1.
    risk = Risk(0.5, offset=0.6)
    for certified, action in ((0.2, -0.8), (0.02, -1.0)):
        assert chosen((0.6, 0.4), 0.0, risk, 100.0, certified, "certified")[0] == pytest.approx(action)


def test_without_the_critics_choice_the_likeliest_mean_is_taken():
    zero = Linear(0.0)
    graph = PolicyGraph(
        [FixedActor((0.3, 0.7))],
        (Linear(1.0), Risk(0.0)),
        (zero, zero),
        Prices(risk=0.0, kappa=0.0, sigma=1.0, by="likeliest"),
    )
    # The critics would take the first component's highest proposal.
    assert graph(torch.zeros(1, CONFIG.feature))[0][0, 0].tolist() == pytest.approx([-0.8, 0.0])


def test_the_percepts_actor_looks_at_the_percept_alone():
    torch.manual_seed(0)
    behaviour = Actor(CONFIG, inputs=CONFIG.percept)
    actor = PerceptActor(CONFIG, behaviour)
    feature = torch.randn(2, CONFIG.feature)
    other = torch.cat([torch.randn(2, CONFIG.dynamics), feature[:, CONFIG.dynamics :]], -1)
    for mine, same, its in zip(
        actor(feature), actor(other), behaviour(feature[:, CONFIG.dynamics :]), strict=True
    ):
        assert torch.equal(mine, same) and torch.equal(mine, its)
