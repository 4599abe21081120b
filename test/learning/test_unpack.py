"""A bundle's networks come back into torch as they are, whoever exported them, and can be put back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.bundle import POLICY, SAFETY, load_bundle
from safe_o2o_ros.errors import BundleShapeError
from safe_o2o_ros.inference import Network
from safe_o2o_ros.learning.unpack import Names, StoredGraph, unpack
from safe_o2o_ros.resources import share_path
from safe_o2o_ros.world_model.actor import PerceptActor
from safe_o2o_ros.world_model.export import PolicyGraph, SafetyGraph
from safe_o2o_ros.world_model.risk import RiskBound


@pytest.mark.parametrize("name", ["point_goal1", "car_goal2", "room_nav"])
@torch.no_grad()
def test_what_is_read_computes_what_the_bundle_computes(name: str) -> None:
    directory = share_path("models", name)
    bundle = load_bundle(directory, (POLICY, SAFETY))
    read = unpack(directory, bundle.manifest)
    rng = np.random.default_rng(0)
    latent = rng.random((32, bundle.manifest.latent.size), np.float32)
    commands = rng.uniform(-1, 1, (32, 7, 2)).astype(np.float32)
    seen = torch.from_numpy(latent)[:, : read.feature]
    risk = RiskBound(read.q_reach, read.percept, read.config.dynamics, read.near_m)
    safety = SafetyGraph(risk, read.v_reach, read.q_cost, read.support)
    told = bundle.networks[SAFETY].run({"latent": latent, "actions": commands})
    for mine, theirs in zip(safety(seen, torch.from_numpy(commands)), told.values(), strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs, atol=1e-4)
    assert read.sees_percept
    actor = PerceptActor(read.config, read.actor)
    policy = PolicyGraph([actor], (read.pi_reward, risk), (read.pi_reward, read.pi_cost), read.prices)
    told = bundle.networks[POLICY].run({"latent": latent})
    actions, scores = policy(seen)
    np.testing.assert_allclose(actions.numpy(), told["actions"], atol=1e-4)
    np.testing.assert_allclose(scores.numpy(), told["scores"], atol=1e-4)


def test_the_settings_of_the_choice_are_read_from_the_graph() -> None:
    directory = share_path("models", "point_goal1")
    read = unpack(directory, load_bundle(directory, ()).manifest)
    # As its card says: certified up to 0.15, a margin below 8 cm adds risk.
    assert read.prices.by == "certified"
    assert read.prices.certified == pytest.approx(0.15)
    assert read.near_m == pytest.approx(0.08)


def test_weights_that_are_put_back_are_what_onnx_runtime_computes_with(tmp_path: Path) -> None:
    directory = share_path("models", "point_goal1")
    bundle = load_bundle(directory, (SAFETY,))
    read = unpack(directory, bundle.manifest)
    stored = StoredGraph(directory / SAFETY)
    names = Names.of(StoredGraph(directory / POLICY), stored)
    with torch.no_grad():
        for parameter in read.v_reach.parameters():
            parameter.mul_(0.5)
            parameter.copy_(parameter.half().float())
    stored.store(names.v_reach, read.v_reach)
    (tmp_path / SAFETY).write_bytes(stored.to_bytes())
    latent = np.random.default_rng(1).random((4, bundle.manifest.latent.size), np.float32)
    inputs = {"latent": latent, "actions": np.zeros((4, 1, 2), np.float32)}
    new, old = Network(tmp_path / SAFETY).run(inputs), bundle.networks[SAFETY].run(inputs)
    expected = read.v_reach(torch.from_numpy(latent[:, : read.feature])).detach().numpy()
    np.testing.assert_allclose(new["state_risk"][:, 0], expected, atol=1e-5)
    assert not np.allclose(new["state_risk"], old["state_risk"])
    np.testing.assert_array_equal(new["risk"], old["risk"])


def test_a_bundle_without_a_world_model_is_refused_in_one_sentence(tmp_path: Path) -> None:
    manifest = write_tiny_bundle(tmp_path / "tiny")
    with pytest.raises(BundleShapeError, match="not those of a world model"):
        unpack(tmp_path / "tiny", manifest)
