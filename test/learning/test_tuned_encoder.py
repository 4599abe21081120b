"""A tuned world model is the parent's until it learns, and what it becomes is what the bundle carries."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_store import write_tiny_store

from safe_o2o_ros.bundle import ENCODER, Bundle, load_bundle, sha256
from safe_o2o_ros.data import EpisodeReader
from safe_o2o_ros.errors import BundleError, StoreError
from safe_o2o_ros.learning.experience import EpisodeEncoder
from safe_o2o_ros.learning.learner import Learner, OnlineSettings
from safe_o2o_ros.learning.tuned_encoder import TunedEncoder
from safe_o2o_ros.resources import share_path


@pytest.fixture(scope="module")
def parent() -> Bundle:
    return load_bundle(share_path("models", "point_goal1"))


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    directory = tmp_path_factory.mktemp("stores")
    write_tiny_store(directory / "recorded", (24, 20))
    write_tiny_store(directory / "own", (18, 17), first_seed=50)
    return directory / "recorded", directory / "own"


def test_without_updates_it_sees_what_the_parent_sees(
    parent: Bundle, stores: tuple[Path, Path], tmp_path: Path
) -> None:
    tuned = TunedEncoder(parent, tmp_path, heads_updates=2)
    made, recorded, own = tuned.tune(*stores, updates=0)
    feature = recorded[0].feature.shape[1]
    for store, seen in zip(stores, (recorded, own), strict=True):
        expected = list(EpisodeEncoder(parent, feature, scramble=False).encode(EpisodeReader(store)))
        assert len(seen) == len(expected) == 2
        for mine, theirs in zip(seen, expected, strict=True):
            for name in ("feature", "offline"):
                np.testing.assert_allclose(getattr(mine, name), getattr(theirs, name), atol=1e-4)
            for name in ("action", "reward", "cost", "cont"):
                assert torch.equal(getattr(mine, name), getattr(theirs, name)), name
    probe = {
        "image": np.random.default_rng(0).integers(0, 255, (4, 64, 64, 6), np.uint8),
        "action": np.zeros((4, 2), np.float32),
        "state": np.zeros((4, parent.manifest.latent.state_size), np.float32),
        "is_first": np.ones((4, 1), np.float32),
    }
    old, new = (b.networks[ENCODER].run(probe)["latent"][:, :feature] for b in (parent, made))
    np.testing.assert_allclose(old, new, atol=1e-4)


def test_what_it_learned_is_packaged_and_gone_on_from(
    parent: Bundle, stores: tuple[Path, Path], tmp_path: Path
) -> None:
    tuned = TunedEncoder(parent, tmp_path, heads_updates=1)
    made, recorded, own = tuned.tune(*stores, updates=2)
    assert sha256(made.path / ENCODER) != sha256(parent.path / ENCODER)
    learner = Learner(parent.path, tmp_path, OnlineSettings(warmup=1, batch=16))
    learner.adopt(made)
    learner.replace(stores[0], recorded, own)
    assert (learner.recorded.steps, learner.own.steps) == (44, 35)
    learner.update(3)
    learner.package(tmp_path / "candidate")
    assert sha256(tmp_path / "candidate" / ENCODER) == sha256(made.path / ENCODER)
    # A restart finds the encoder, and the latents that belong to it.
    again = TunedEncoder(parent, tmp_path, heads_updates=1)
    assert again.step == 2 and again.bundle is not None
    assert sha256(again.bundle.path / ENCODER) == sha256(made.path / ENCODER)
    restarted = Learner(parent.path, tmp_path, learner.settings)
    restarted.adopt(again.bundle)
    restarted.record(stores[0])
    rows = np.arange(44)
    assert torch.equal(restarted.recorded.draw(rows)["feature"], learner.recorded.draw(rows)["feature"])


def test_an_episode_shorter_than_a_window_is_kept_for_the_critics(
    parent: Bundle, stores: tuple[Path, Path], tmp_path: Path
) -> None:
    write_tiny_store(tmp_path / "short", (18, 9), first_seed=70)
    tuned = TunedEncoder(parent, tmp_path / "work", heads_updates=1)
    _, _, own = tuned.tune(stores[0], tmp_path / "short", updates=1)
    assert [len(seen.action) for seen in own] == [18, 9]
    write_tiny_store(tmp_path / "shorter", (9,), first_seed=80)
    with pytest.raises(StoreError, match="the 16 steps of a window"):
        tuned.tune(stores[0], tmp_path / "shorter", updates=1)


def test_a_bundle_of_unknown_origin_is_refused(parent: Bundle, tmp_path: Path) -> None:
    foreign = dataclasses.replace(parent, manifest=dataclasses.replace(parent.manifest, metrics={}))
    with pytest.raises(BundleError, match="by which profile it was trained"):
        TunedEncoder(foreign, tmp_path, heads_updates=1)
