"""Reachability alone: hand-computed targets, and a braking distance that is known exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from safe_o2o_ros.learning import losses
from safe_o2o_ros.learning.config import ReachTraining
from safe_o2o_ros.learning.latents import Latents
from safe_o2o_ros.learning.reach_phase import ReachPhase, discount
from safe_o2o_ros.learning.transitions import Transitions
from safe_o2o_ros.world_model.config import ModelConfig
from safe_o2o_ros.world_model.critics import QEnsemble, VCritic

SMALL = ModelConfig(action_dim=1, deter=1, groups=1, classes=1, percept=1, critic_units=48)
"""Features of three numbers: position, speed, 1."""


def test_the_safety_bellman_target_by_hand() -> None:
    margin = torch.tensor([0.5, 0.5, -0.2, 0.5])
    ahead = torch.tensor([0.1, 0.9, 0.4, -1.0])
    cont = torch.tensor([1.0, 1.0, 1.0, 0.0])
    target = losses.safety_bellman_target(margin, cont, ahead, gamma=0.9)
    # 0.1 * 0.5 + 0.9 * 0.1; margin is the least; a violation now stays one; nothing follows an end.
    assert target.tolist() == pytest.approx([0.14, 0.5, -0.2, 0.5])


def test_the_discount_grows_geometrically_and_settles() -> None:
    config = ReachTraining(gamma_first=0.9, gamma=0.999)
    assert discount(config, 0.0) == pytest.approx(0.9)
    assert discount(config, 0.35) == pytest.approx(0.99)
    assert discount(config, 0.7) == pytest.approx(0.999)
    assert discount(config, 1.0) == pytest.approx(0.999)


def test_the_margin_form_uses_the_margin_here_and_the_mean_of_the_ensemble() -> None:
    torch.manual_seed(0)
    config = ReachTraining(steps=1, form="margin", scale_m=0.1, clip_m=0.4, tau=0.1)
    q, v, slow = QEnsemble(SMALL, bounded=True), VCritic(SMALL, bounded=True), QEnsemble(SMALL, bounded=True)
    phase = ReachPhase(q, v, slow, _driving(20), config, seed=0)
    batch = phase.data.draw(np.random.default_rng(0), 8)
    gamma = 0.9
    terms = phase.losses(batch, gamma)
    here = batch["margin_here"].clamp(-0.4, 0.4) / 0.1
    goal = (1 - gamma) * here + gamma * torch.minimum(here, -v.logits(batch["next"]))
    value = -q.logits(batch["feature"], batch["action"])
    huber = torch.nn.functional.smooth_l1_loss(value, goal.expand_as(value)).detach()
    assert float(terms["q_reach"].detach()) == pytest.approx(float(huber), rel=1e-5)
    error = -slow.logits(batch["feature"], batch["action"]).mean(0) + v.logits(batch["feature"])
    expected = torch.where(error < 0, 0.1, 0.9) * error**2
    assert float(terms["v_reach"].detach()) == pytest.approx(float(expected.mean().detach()), rel=1e-5)


@pytest.mark.parametrize("form", ["margin", "binary"])
def test_a_braking_distance_is_learned_from_random_driving(form: str) -> None:
    torch.manual_seed(1)
    torch.set_num_threads(1)
    config = ReachTraining(
        steps=1500, batch=256, learning_rate=3e-3, form=form, gamma=0.995, tau=0.03, scale_m=0.2, near_m=0.0
    )
    q, v, slow = QEnsemble(SMALL, bounded=True), VCritic(SMALL, bounded=True), QEnsemble(SMALL, bounded=True)
    phase = ReachPhase(q, v, slow, _driving(12_000), config, seed=0)
    for step in range(config.steps):
        phase.update(step)
    position, speed = np.meshgrid(np.linspace(-1.4, 0.2, 33), np.linspace(-1.0, 1.4, 33), indexing="ij")
    exact = -(position + np.where(speed > 0.0, speed**2 / 2.0, 0.0))
    with torch.no_grad():
        feature = _feature(position.reshape(-1), speed.reshape(-1))
        turns = torch.linspace(-1, 1, 5)[None, :, None].expand(len(feature), -1, 1)
        risk = q(feature.unsqueeze(1).expand(-1, 5, -1), turns).amax(0).amin(-1)
    safe = (risk <= 0.5).numpy().reshape(exact.shape)
    clear = np.abs(exact) > 0.15
    assert (safe == (exact > 0.0))[clear].mean() > 0.98


def _feature(position: np.ndarray, speed: np.ndarray) -> torch.Tensor:
    columns = np.stack([position, speed, np.ones_like(position)], -1)
    return torch.from_numpy(columns.astype(np.float32))


def _driving(count: int) -> Transitions:
    """Pairs of frames of a mass that brakes with at most 1 m/s^2, 0.1 s apart; the wall is at 0."""
    rng = np.random.default_rng(3)
    p, s = rng.uniform(-1.6, 0.3, count), rng.uniform(-1.2, 1.6, count)
    a = rng.choice([-1.0, -1.0, 0.0, 1.0], count)
    p2, s2 = p + 0.1 * s + 0.005 * a, s + 0.1 * a
    position, speed = np.stack([p, p2], 1).reshape(-1), np.stack([s, s2], 1).reshape(-1)
    action = np.stack([a, np.zeros(count)], 1).reshape(-1, 1).astype(np.float32)
    margin = torch.from_numpy(-position.astype(np.float32))
    feature = _feature(position, speed)
    cost = (margin <= 0.0).float().roll(-1)  # of the frame that the action leads to
    zeros = torch.zeros(2 * count)
    rows = torch.arange(0, 2 * count, 2)
    latents = Latents(feature, feature, zeros)
    return Transitions(latents, torch.from_numpy(action), zeros, cost, torch.ones(2 * count), margin, rows)
