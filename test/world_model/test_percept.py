"""The percept: what it is trained on, and that no action reaches it."""

import math

import pytest
import torch

from safe_o2o_ros.world_model.config import ModelConfig
from safe_o2o_ros.world_model.model import LossScales, WorldModel
from safe_o2o_ros.world_model.percept import cost_ahead

CONFIG = ModelConfig(depth=2, deter=16, groups=3, classes=4, units=16, percept=8)


def unmeasured(batch: int, length: int) -> dict[str, torch.Tensor]:
    """Surroundings that nobody recorded."""
    return {
        "ring": torch.full((batch, length, CONFIG.sectors), float("nan")),
        "landmarks": torch.full((batch, length, 2 * CONFIG.landmarks), float("nan")),
    }


def test_cost_ahead_by_hand():
    cost = torch.tensor([[0.0, 0.0, 0.0, 2.0, 0.0, 0.0]])
    soon, known = cost_ahead(cost, horizon=3)
    # Steps 4 and 5 look beyond the window.
    assert known == 4
    assert soon.tolist() == [[0.0, 1.0, 1.0, 1.0]]


def test_the_percept_follows_the_images_and_not_the_action():
    torch.manual_seed(0)
    model = WorldModel(CONFIG, LossScales()).eval()
    image = torch.randint(0, 256, (1, 64, 64, 6), dtype=torch.uint8)
    state, later = torch.zeros(1, CONFIG.state), torch.zeros(1, 1)
    left = model.step(image, torch.tensor([[0.0, 1.0]]), state, later)[0]
    right = model.step(image, torch.tensor([[0.0, -1.0]]), state, later)[0]
    other = model.step(255 - image, torch.tensor([[0.0, 1.0]]), state, later)[0]
    assert torch.equal(left[:, CONFIG.dynamics :], right[:, CONFIG.dynamics :])
    assert not torch.equal(left[:, CONFIG.dynamics :], other[:, CONFIG.dynamics :])


def test_the_training_pass_and_the_deployed_steps_agree():
    torch.manual_seed(0)
    model = WorldModel(CONFIG, LossScales()).eval()
    embedding = torch.randn(1, 3, model.encoder.size)
    trained = model.percept.observe(embedding, torch.tensor([[1.0, 0.0, 0.0]]))
    state = torch.zeros(1, CONFIG.percept)
    for t in range(3):
        state = model.percept(embedding[:, t], state)
        torch.testing.assert_close(state, trained[:, t])


def test_only_a_demonstrators_actions_are_imitated():
    torch.manual_seed(0)
    model = WorldModel(CONFIG, LossScales())
    states, action = torch.randn(1, 4, CONFIG.percept), torch.rand(1, 4, 2)
    batch = {
        "action": action,
        "cost": torch.zeros(1, 4),
        "imitate": torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        "margin": torch.zeros(1, 4),
        **unmeasured(1, 4),
    }
    before = model.percept.losses(states, batch)["behaviour"]
    batch["action"] = torch.cat([action[:, :1], -action[:, 1:]], 1)
    assert torch.equal(model.percept.losses(states, batch)["behaviour"], before)
    batch["action"] = -action
    assert not torch.equal(model.percept.losses(states, batch)["behaviour"], before)


def test_unmeasured_margins_teach_nothing():
    torch.manual_seed(0)
    model = WorldModel(CONFIG, LossScales())
    states = torch.randn(1, 4, CONFIG.percept, requires_grad=True)
    batch = {
        "action": torch.rand(1, 4, 2),
        "cost": torch.zeros(1, 4),
        "imitate": torch.ones(1, 4),
        "margin": torch.full((1, 4), float("nan")),
        **unmeasured(1, 4),
    }
    loss = model.percept.losses(states, batch)["margin"]
    assert float(loss.detach()) == 0.0
    # Windows of 2 of the 4 steps: the margin at steps 0 to 2, and the least of it and the next.
    batch["margin"] = torch.tensor([[float("nan"), 0.2, float("nan"), float("nan")]])
    torch.nn.init.zeros_(model.percept.margin[-1].weight)
    torch.nn.init.zeros_(model.percept.margin[-1].bias)
    # One target is known, 0.2 m = 2 units, and 0 is predicted: |2| - 0.5.
    assert float(model.percept.losses(states, batch)["margin"].detach()) == 1.5


def test_the_guess_leaves_both_states_alone():
    torch.manual_seed(0)
    model = WorldModel(CONFIG, LossScales())
    batch = {
        "image": torch.randint(0, 256, (2, 6, 64, 64, 6), dtype=torch.uint8),
        "action": torch.rand(2, 6, 2),
        "previous_action": torch.rand(2, 6, 2),
        "reward": torch.rand(2, 6),
        "cost": torch.zeros(2, 6),
        "cont": torch.ones(2, 6),
        "imitate": torch.ones(2, 6),
        "margin": torch.ones(2, 6),
        **unmeasured(2, 6),
        "is_first": torch.zeros(2, 6),
    }
    model.loss(batch)[1]["guess"].backward()
    moved = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert moved == {"guess"}


def test_what_is_where_is_learned_where_it_was_measured_and_near_things_count_more():
    torch.manual_seed(0)
    model = WorldModel(CONFIG, LossScales())
    states = torch.randn(1, 2, CONFIG.percept)
    batch = {
        "action": torch.rand(1, 2, 2),
        "cost": torch.zeros(1, 2),
        "imitate": torch.ones(1, 2),
        "margin": torch.zeros(1, 2),
        **unmeasured(1, 2),
    }
    assert float(model.percept.losses(states, batch)["geometry"].detach()) == 0.0
    torch.nn.init.zeros_(model.percept.places[-1].weight)
    torch.nn.init.zeros_(model.percept.places[-1].bias)
    # One frame is measured and 0 is predicted: exp(-0.5 / 0.5) = e^-1, and log(1 + 5) towards (3, 4) / 5.
    batch["ring"][0, 0, 2] = 0.5
    batch["landmarks"][0, 0, :2] = torch.tensor([3.0, 4.0])
    expected = math.exp(-2.0) + math.log(6.0) ** 2
    assert float(model.percept.losses(states, batch)["geometry"].detach()) == pytest.approx(
        expected, rel=1e-5
    )
