"""Safe policy expansion: who is chosen, for how long, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tiny_bundle import STATE, write_tiny_bundle

from safe_o2o_ros.bundle import POLICY, Bundle, load_bundle
from safe_o2o_ros.errors import NonFiniteError
from safe_o2o_ros.policy.policy import ExpansionPolicy, PolicyState
from safe_o2o_ros.types import Latent


@dataclass
class Scripted:
    """A policy network whose answers the test writes down: actions (P, 2), scores (P,)."""

    actions: list[list[float]]
    scores: list[float]

    def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """See Network."""
        assert inputs["latent"].shape == (1, STATE)
        return {
            "actions": np.array([self.actions], np.float32),
            "scores": np.array([self.scores], np.float32),
        }


LATENT = Latent(42, "tiny-1", np.zeros(STATE, np.float32), 0.0)
TWO = [[0.5, 0.5], [-0.5, -0.5]]
Build = Callable[..., tuple[ExpansionPolicy, Scripted]]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    directory = tmp_path_factory.mktemp("policy") / "bundle"
    write_tiny_bundle(directory, proposals=2)  # hold_ticks 3, temperature 0
    return load_bundle(directory, (POLICY,))


@pytest.fixture
def build(bundle: Bundle) -> Build:
    def make(
        temperature: float = 0.0, hold_ticks: int = 3, seed: int = 0, exploration: float = 0.0
    ) -> tuple[ExpansionPolicy, Scripted]:
        network = Scripted(TWO, [0.0, 0.0])
        expansion = replace(bundle.manifest.expansion, temperature=temperature, hold_ticks=hold_ticks)
        manifest = replace(bundle.manifest, expansion=expansion)
        networks: dict[str, Any] = {POLICY: network}
        return ExpansionPolicy(Bundle(bundle.path, manifest, networks), seed, exploration), network

    return make


def test_the_command_is_raw_and_answers_the_latent(build: Build) -> None:
    policy, _ = build()
    state, proposal = policy.step(policy.initial(), LATENT)
    # Effective (0.5, 0.5) on a base that saturates at 0.05 forward.
    np.testing.assert_allclose(proposal.action, [0.025, 0.5])
    assert (proposal.stamp_ns, proposal.source, state.tick) == (42, "offline", 1)


def test_the_better_score_drives_and_a_tie_goes_to_the_offline_policy(build: Build) -> None:
    policy, network = build()
    for scores, source in (([0.0, 1.0], "online"), ([1.0, 0.0], "offline"), ([1.0, 1.0], "offline")):
        network.scores = scores
        assert policy.step(policy.initial(), LATENT)[1].source == source


def test_a_change_holds_for_the_hold_time(build: Build) -> None:
    policy, network = build()
    state, sources = policy.initial(), []
    for tick in range(10):
        network.scores = (
            [0.0, 1.0] if tick % 2 == 0 else [1.0, 0.0]
        )  # the critics change their mind each tick
        state, proposal = policy.step(state, LATENT)
        sources.append(proposal.source)
    # Changed at tick 0; ticks 1, 2, 3 are held; at tick 4 the scores again say online, at 5 offline.
    assert sources == ["online"] * 5 + ["offline"] * 5


def test_no_hold_time_follows_every_tick(build: Build) -> None:
    policy, network = build(hold_ticks=0)
    state, sources = policy.initial(), []
    for tick in range(4):
        network.scores = [0.0, 1.0] if tick % 2 == 0 else [1.0, 0.0]
        state, proposal = policy.step(state, LATENT)
        sources.append(proposal.source)
    assert sources == ["online", "offline", "online", "offline"]


def test_a_temperature_draws_by_softmax_and_by_seed_and_tick_alone(build: Build) -> None:
    policy, network = build(temperature=1.0, hold_ticks=0)
    twin, other = build(temperature=1.0, hold_ticks=0)
    other.scores = network.scores = [0.0, float(np.log(3.0))]  # 1 : 3

    def sources(subject: ExpansionPolicy) -> list[str]:
        return [subject.step(PolicyState(0, 0, tick), LATENT)[1].source for tick in range(2000)]

    drawn = sources(policy)
    assert drawn == sources(twin)
    # Binomial(2000, 3/4): standard deviation 0.0097, so five of them.
    assert drawn.count("online") / 2000 == pytest.approx(0.75, abs=0.05)


def test_scores_far_apart_neither_overflow_nor_leave_the_two_policies(build: Build) -> None:
    policy, network = build(temperature=1e-3, hold_ticks=0)
    network.scores = [1e30, -1e30]
    assert {policy.step(PolicyState(1, 9, t), LATENT)[1].source for t in range(50)} == {"offline"}


def test_an_action_beyond_full_scale_is_bounded(build: Build) -> None:
    policy, network = build()
    network.actions = [[7.0, -7.0], [0.0, 0.0]]
    np.testing.assert_allclose(policy.step(policy.initial(), LATENT)[1].action, [0.05, -1.0])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("part", ["actions", "scores"])
def test_a_non_finite_output_is_refused_even_of_the_policy_not_chosen(
    bad: float, part: str, build: Build
) -> None:
    policy, network = build()
    if part == "actions":
        network.actions = [[0.0, 0.0], [bad, 0.0]]
    else:
        network.scores = [0.0, bad]
    with pytest.raises(NonFiniteError, match="not finite"):
        policy.step(policy.initial(), LATENT)


def test_one_policy_never_changes(tmp_path: Path) -> None:
    write_tiny_bundle(tmp_path / "bundle", proposals=1)
    policy = ExpansionPolicy(load_bundle(tmp_path / "bundle", (POLICY,)))
    state = policy.initial()
    rng = np.random.default_rng(0)
    for tick in range(20):
        feature = rng.standard_normal(STATE).astype(np.float32)
        state, proposal = policy.step(state, Latent(tick, "tiny-1", feature, 0.0))
        assert proposal.source == "offline" and proposal.action.dtype == np.float32
        assert np.abs(proposal.action).max() <= 1.0


def test_the_same_latents_give_the_same_commands(bundle: Bundle) -> None:
    rng = np.random.default_rng(0)
    latents = [Latent(t, "tiny-1", rng.standard_normal(STATE).astype(np.float32), 0.0) for t in range(30)]
    runs = []
    for _ in range(2):
        policy = ExpansionPolicy(bundle)
        state, answers = policy.initial(), []
        for latent in latents:
            state, proposal = policy.step(state, latent)
            answers.append((proposal.source, proposal.action.tobytes()))
        runs.append(answers)
    assert runs[0] == runs[1] and {source for source, _ in runs[0]} == {"offline", "online"}


def test_a_bundle_with_fewer_policies_takes_over_with_the_first(build: Build) -> None:
    policy, network = build()
    network.actions, network.scores = TWO[:1], [0.0]
    state, proposal = policy.step(PolicyState(chosen=1, held=7, tick=9), LATENT)
    assert (state.chosen, state.held, state.tick) == (0, 0, 10)
    assert proposal.source == "offline"


def test_exploration_is_noise_that_is_held_and_repeats_with_its_seed(build: Build) -> None:
    from safe_o2o_ros.policy.policy import EXPLORE_TICKS

    def driven(seed: int, exploration: float, actions: list[list[float]]) -> np.ndarray:
        policy, network = build(exploration=exploration, seed=seed)
        state, given = policy.initial(), []
        for tick in range(30 * EXPLORE_TICKS):
            network.actions = [actions[tick % len(actions)]] * 2
            state, proposal = policy.step(state, LATENT)
            given.append(proposal.action)
        return np.stack(given)

    dithers = [[1.0, 0.2], [-1.0, -0.2]]
    plain, noisy = driven(3, 0.0, dithers), driven(3, 0.2, dithers)
    np.testing.assert_array_equal(noisy, driven(3, 0.2, dithers))
    assert not np.array_equal(noisy, driven(4, 0.2, dithers))
    # The turn is far from its limits, so all of the noise is seen: nothing at first, later one for six ticks.
    noise = (noisy - plain)[:, 1].reshape(30, EXPLORE_TICKS)
    late = noise[-15:]
    np.testing.assert_allclose(late, np.repeat(late[:, :1], EXPLORE_TICKS, 1), atol=1e-6)
    assert not noise[0].any() and late.all()


def test_a_policy_that_gets_somewhere_is_not_disturbed(build: Build) -> None:
    calm, explorer = build()[0], build(exploration=0.5)[0]
    states = calm.initial(), explorer.initial()
    for _ in range(200):
        states = tuple(p.step(s, LATENT)[0] for p, s in zip((calm, explorer), states, strict=True))
        answers = [p.step(s, LATENT)[1].action for p, s in zip((calm, explorer), states, strict=True)]
        np.testing.assert_array_equal(*answers)
