"""The offline actor stays frozen to the last bit while the one beside it changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from safe_o2o_ros.bundle import POLICY, load_bundle
from safe_o2o_ros.inference import Network
from safe_o2o_ros.learning.unpack import unpack
from safe_o2o_ros.resources import share_path
from safe_o2o_ros.world_model.actor import PerceptActor
from safe_o2o_ros.world_model.compress import round_weights
from safe_o2o_ros.world_model.expansion import OnlineGraph, expanded_policy
from safe_o2o_ros.world_model.risk import RiskBound


@pytest.mark.parametrize("name", ["point_goal1", "room_nav"])
def test_two_generations_keep_the_offline_actor(name: str, tmp_path: Path) -> None:
    directory = share_path("models", name)
    bundle = load_bundle(directory, (POLICY,))
    read = unpack(directory, bundle.manifest)
    actor = PerceptActor(read.config, read.actor)
    risk = RiskBound(read.q_reach, read.percept, read.config.dynamics, read.near_m)
    graph = OnlineGraph(
        actor, (read.pi_reward, risk), (read.pi_reward, read.pi_cost), read.prices, read.feature
    )
    latent = np.random.default_rng(0).random((16, bundle.manifest.latent.size), np.float32)
    frozen = bundle.networks[POLICY].run({"latent": latent})
    policy = (directory / POLICY).read_bytes()
    for generation in range(2):
        policy = expanded_policy(policy, graph, bundle.manifest.latent.size)
        (tmp_path / POLICY).write_bytes(policy)
        got = Network(tmp_path / POLICY).run({"latent": latent})
        assert got["actions"].shape == (16, 2, 2)
        np.testing.assert_array_equal(got["actions"][:, 0], frozen["actions"][:, 0])
        np.testing.assert_allclose(got["scores"][:, 0], frozen["scores"][:, 0], atol=1e-4)
        moved = np.abs(got["actions"][:, 1] - frozen["actions"][:, 0]).max()
        assert (moved < 1e-5) if generation == 0 else (moved > 1e-2)
        with torch.no_grad():
            for parameter in actor.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        round_weights(actor)
