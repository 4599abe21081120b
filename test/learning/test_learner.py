"""Fine-tuning goes on exactly after a restart, mixes what it was told to, and packages what it learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_store import make_episode, write_tiny_store

from safe_o2o_ros.bundle import ENCODER, GOLDEN, POLICY, SAFETY, load_bundle, sha256
from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.learning.experience import Pool, Replay, Seen
from safe_o2o_ros.learning.learner import Learner, OnlineSettings
from safe_o2o_ros.resources import share_path

SETTINGS = OnlineSettings(warmup=2, batch=16)


def _learner(work: Path, store: Path) -> Learner:
    learner = Learner(share_path("models", "point_goal1"), work, SETTINGS)
    learner.record(store)
    learner.add([make_episode(30, 77)])
    return learner


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("offline") / "store"
    write_tiny_store(directory, (40, 20))
    return directory


def test_a_restarted_learner_goes_on_exactly(tmp_path: Path, store: Path) -> None:
    whole = _learner(tmp_path / "a", store)
    whole.update(6)
    first = _learner(tmp_path / "b", store)
    first.update(3)
    first.save()
    second = _learner(tmp_path / "b", store)
    assert second.step == 3
    second.update(3)
    for (name, mine), theirs in zip(
        whole.agent.state_dict().items(), second.agent.state_dict().values(), strict=True
    ):
        assert torch.equal(mine, theirs), name


def test_a_candidate_keeps_the_encoder_and_the_offline_actor(tmp_path: Path, store: Path) -> None:
    learner = _learner(tmp_path, store)
    learner.update(6)
    made = learner.package(tmp_path / "candidate")
    parent, candidate = learner.bundle, load_bundle(tmp_path / "candidate")
    assert made.parent == parent.version and made.version != parent.version
    assert made.expansion.proposals == 2 and GOLDEN in made.files
    assert sha256(candidate.path / ENCODER) == sha256(parent.path / ENCODER)
    latent = np.random.default_rng(3).random((8, made.latent.size), np.float32)
    inputs = {"latent": latent, "actions": np.zeros((8, 1, 2), np.float32)}
    old, new = (b.networks[POLICY].run({"latent": latent})["actions"] for b in (parent, candidate))
    np.testing.assert_array_equal(old[:, 0], new[:, 0])
    old, new = (b.networks[SAFETY].run(inputs)["risk"] for b in (parent, candidate))
    assert not np.array_equal(old, new)  # the safety critics have learned


def test_an_unsafe_actor_alone_is_one_proposal(tmp_path: Path, store: Path) -> None:
    alone = OnlineSettings(warmup=0, batch=16, expansion=False, safety_learns=False)
    learner = Learner(share_path("models", "point_goal1"), tmp_path, alone)
    learner.record(store)
    learner.update(2)
    made = learner.package(tmp_path / "candidate")
    assert made.expansion.proposals == 1
    assert sha256(tmp_path / "candidate" / SAFETY) == sha256(learner.bundle.path / SAFETY)


def test_the_actor_waits_for_its_critics(tmp_path: Path, store: Path) -> None:
    learner = _learner(tmp_path, store)
    before = [p.clone() for p in learner.agent.actor.parameters()]
    learner.update(SETTINGS.warmup)
    assert all(torch.equal(a, b) for a, b in zip(before, learner.agent.actor.parameters(), strict=True))
    learner.update(1)
    assert any(not torch.equal(a, b) for a, b in zip(before, learner.agent.actor.parameters(), strict=True))


def test_latents_are_those_of_the_graph(tmp_path: Path) -> None:
    """One frame after another through RecurrentEncoder gives what the learner trains on."""
    from safe_o2o_ros.perception.encoder import RecurrentEncoder
    from safe_o2o_ros.perception.preprocess import stack
    from safe_o2o_ros.types import FrameSet

    learner = Learner(share_path("models", "point_goal1"), tmp_path, SETTINGS)
    episodes = [make_episode(12, 1), make_episode(9, 2)]
    seen = list(learner._encoder.encode(episodes))
    encoder = RecurrentEncoder(learner.bundle)
    episode, width = episodes[1], seen[1].feature.shape[1]
    state = encoder.initial()
    for t in range(len(episode) + 1):
        image = stack({c: f[t] for c, f in episode.images.items()}, ("front", "back"), 64, 64)
        action = episode.actions[max(t - 1, 0)]
        state, latent = encoder.step(state, FrameSet(t, image), action)
        np.testing.assert_allclose(seen[1].feature[t].numpy(), latent.feature[:width], atol=1e-4)


def _seen(steps: int, value: float) -> Seen:
    frames, rows = torch.full((steps + 1, 3), value), torch.full((steps,), value)
    return Seen(
        frames, frames, torch.zeros(steps + 1, 2), torch.zeros(steps, 2), rows, rows, rows, frames[:, 0]
    )


def test_a_batch_has_the_share_of_own_steps_it_was_told() -> None:
    recorded, own = Pool(), Pool()
    recorded.add(_seen(50, 0.0))
    replay, rng = Replay(recorded, own, 0.25), np.random.default_rng(0)
    assert float(replay.draw(rng, 40)["reward"].sum()) == 0.0
    own.add(_seen(7, 1.0))
    assert float(replay.draw(rng, 40)["reward"].sum()) == 10.0


def test_a_pool_forgets_the_oldest_and_never_crosses_episodes() -> None:
    pool = Pool(most_steps=10)
    for value in (1.0, 2.0, 3.0):
        pool.add(_seen(4, value))
    assert pool.steps == 8
    drawn = pool.draw(np.arange(8))
    assert drawn["reward"].tolist() == [2.0] * 4 + [3.0] * 4
    assert torch.equal(drawn["feature"], drawn["next"])  # of one episode, so of one value


def test_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    learner = Learner(share_path("models", "point_goal1"), tmp_path, SETTINGS)
    with pytest.raises(UsageError, match="nothing to learn from"):
        learner.update(1)
