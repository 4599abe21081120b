"""Driving without ROS: repeatable episodes, and a record whose every number can be recomputed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from support.tiny_bundle import write_tiny_bundle

import safe_o2o_ros.sim  # noqa: F401  registers the tasks
from safe_o2o_ros.bundle import Bundle, load_bundle
from safe_o2o_ros.errors import BundleMismatchError
from safe_o2o_ros.evaluation import (
    BundleDriver,
    Driver,
    GuardedDriver,
    ScriptedDriver,
    Tick,
    check_bundle_fits,
    drive_episode,
)
from safe_o2o_ros.perception.encoder import RecurrentEncoder
from safe_o2o_ros.policy.policy import ExpansionPolicy
from safe_o2o_ros.report.log import EpisodeLog
from safe_o2o_ros.report.record import episode_record, evaluation_record
from safe_o2o_ros.robot import POINT
from safe_o2o_ros.sim.demonstrators import make_demonstrator
from safe_o2o_ros.types import Decision, FrameSet, Mode, Reason

SEED = 50_000
STEPS = 82
"""Control steps of the shortened episodes: 20 periods of 4 and one cut short."""


def make_env(cameras: tuple[str, ...] = ("front", "back"), action_repeat: int = 4) -> Any:
    env: Any = gymnasium.make("safe_o2o/PointGoal1-v0", cameras=cameras, action_repeat=action_repeat)
    env.unwrapped.task = replace(env.unwrapped.task, episode_steps=STEPS)
    return env


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    directory = tmp_path_factory.mktemp("evaluation") / "bundle"
    write_tiny_bundle(directory, risk_threshold=0.35)
    return load_bundle(directory)


@pytest.fixture(scope="module")
def seeing() -> Iterator[Any]:
    env = make_env()
    yield env
    env.close()


@pytest.fixture(scope="module")
def blind() -> Iterator[Any]:
    env = make_env(cameras=())
    yield env
    env.close()


def scripted(kind: str, env: Any) -> ScriptedDriver:
    return ScriptedDriver(make_demonstrator(kind, env.unwrapped.adapter, env.unwrapped.period_s))


def assert_same(a: EpisodeLog, b: EpisodeLog) -> None:
    assert episode_record(a) == episode_record(b) and a.reason == b.reason and a.layout == b.layout
    for name in ("reward", "cost", "value", "surprise", "nominal", "executed", "position", "yaw"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def test_the_same_seed_drives_the_same_episode_whatever_was_driven_before(
    bundle: Bundle, seeing: Any
) -> None:
    driver = BundleDriver(bundle, Mode.FILTER)
    first = drive_episode(seeing, driver, SEED)
    other = drive_episode(seeing, driver, SEED + 1)
    again = drive_episode(seeing, BundleDriver(bundle, Mode.FILTER), SEED)
    after = drive_episode(seeing, driver, SEED)
    assert_same(first, again)
    assert_same(first, after)
    assert not np.array_equal(first.executed, other.executed)


@pytest.mark.parametrize("kind", ["safe", "random"])
def test_a_scripted_reference_repeats_too(kind: str, blind: Any) -> None:
    driver = scripted(kind, blind)
    logs = [drive_episode(blind, driver, seed) for seed in (SEED, SEED + 1, SEED)]
    assert_same(logs[0], logs[2])
    assert not np.array_equal(logs[0].executed, logs[1].executed)


def test_a_log_has_one_row_per_control_period(bundle: Bundle, seeing: Any) -> None:
    log = drive_episode(seeing, BundleDriver(bundle, Mode.FILTER), SEED, keep_images=True)
    assert log.control_steps == STEPS and len(log.reward) == 21
    np.testing.assert_allclose(log.time_s, 0.08 * np.arange(21))
    assert log.images["front"].shape == (21, 64, 64, 3) and list(log.images) == ["front", "back"]
    assert log.nominal.shape == log.executed.shape == (21, 2) and log.top is None
    assert log.success is None  # this task knows no success
    assert np.isfinite(log.value).all()
    # Risk 0.35, and a tenth less of it for 0.4 s after a command was changed.
    strict = np.array([log.changed[max(0, t - 4) : t].any() for t in range(21)])
    assert strict.any() and not strict.all()
    assert log.threshold == pytest.approx(np.where(strict, 1.0 - 0.9 * 0.35, 0.65))


def test_the_encoder_is_told_what_was_executed_and_not_what_was_asked_for(
    bundle: Bundle, seeing: Any
) -> None:
    log = drive_episode(seeing, BundleDriver(bundle, Mode.FILTER), SEED, keep_images=True)
    assert log.changed.any()
    encoder, policy = RecurrentEncoder(bundle), ExpansionPolicy(bundle)
    state, policy_state, executed = encoder.initial(), policy.initial(), POINT.zero()
    for t in range(len(log.reward)):
        image = np.concatenate([log.images["front"][t], log.images["back"][t]], axis=2)
        state, latent = encoder.step(state, FrameSet(t, image), executed)
        policy_state, proposal = policy.step(policy_state, latent)
        assert latent.surprise == log.surprise[t]
        assert np.array_equal(proposal.action, log.nominal[t])
        executed = log.executed[t]


@pytest.mark.parametrize("guarded", [False, True])
def test_the_filter_hears_the_odometry_of_a_base_that_obeys_velocities(tmp_path: Path, guarded: bool) -> None:
    write_tiny_bundle(tmp_path / "room", task="RoomNav", risk_threshold=1.0)
    bundle = load_bundle(tmp_path / "room")
    env: Any = gymnasium.make("safe_o2o/RoomNav-v0", cameras=bundle.manifest.image.cameras)
    driver: Driver = BundleDriver(bundle, Mode.FILTER)
    if guarded:
        driver = GuardedDriver(scripted("straight", env), bundle, Mode.FILTER)
    sources = []
    observation, _ = env.reset(seed=SEED)
    driver.reset(SEED)
    for period in range(8):
        decision = driver.act(observation, env, (period + 1) * 10**8).decision
        sources.append(decision.speed_source)
        observation, *_ = env.step(decision.action)
    env.close()
    assert sources == ["odom"] * 8


def test_no_odometry_of_the_benchmarks_robots(bundle: Bundle, seeing: Any) -> None:
    observation, _ = seeing.reset(seed=SEED)
    assert BundleDriver(bundle, Mode.FILTER).act(observation, seeing, 1).decision.speed_source == "model"


def test_the_filter_changes_commands_only_in_its_own_mode(bundle: Bundle, seeing: Any) -> None:
    logs = {mode: drive_episode(seeing, BundleDriver(bundle, mode), SEED) for mode in Mode}
    for mode in (Mode.SHADOW, Mode.LIMITS_ONLY):
        assert np.array_equal(logs[mode].executed, logs[mode].nominal) and not logs[mode].changed.any()
        assert set(logs[mode].reason) == {mode.value}
    guarded = logs[Mode.FILTER]
    assert guarded.changed.any() and set(guarded.reason) <= {"pass", "substitute", "escape"}
    differs = (guarded.executed != guarded.nominal).any(axis=1)
    assert np.array_equal(differs, guarded.changed)
    # Shadow drives as if there were no filter, but computes the value.
    assert np.array_equal(logs[Mode.SHADOW].executed, logs[Mode.LIMITS_ONLY].executed)
    assert np.isfinite(logs[Mode.SHADOW].value).all() and np.isnan(logs[Mode.LIMITS_ONLY].value).all()


class Straight:
    """Full thrust; claims an override in every third period."""

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def reset(self, seed: int) -> None:
        """See Driver."""
        self.seeds.append(seed)
        self.ticks = 0

    def act(self, observation: dict[str, Any], env: Any, stamp_ns: int) -> Tick:
        """See Driver."""
        self.ticks += 1
        assert stamp_ns == self.ticks * 80_000_000
        action = np.array([0.05, 0.0], np.float32)
        nan = float("nan")
        decision = Decision(stamp_ns, action, self.ticks % 3 == 0, Reason.PASS, "", nan, nan, 0, "")
        return Tick(action, decision, 0.0)


def test_the_record_adds_up_what_the_task_paid(blind: Any) -> None:
    driver: Driver = Straight()
    log = drive_episode(blind, driver, SEED)
    observation, _ = blind.reset(seed=SEED)
    rewards, costs, done = [], [], False
    while not done:
        observation, reward, _, done, info = blind.step(np.array([0.05, 0.0], np.float32))
        rewards.append(reward)
        costs.append(info["cost"])
    assert episode_record(log) == {
        "seed": SEED,
        "reward": float(sum(rewards)),
        "cost": float(sum(costs)),
        "steps": STEPS,
        "success": None,
        "overrides": 7,  # periods 3, 6, ..., 21
        "goals": info["goals"],
    }


def test_means_and_population_deviations_by_hand() -> None:
    def episode(
        seed: int, reward: float, cost: float, overrides: int, success: bool | None
    ) -> dict[str, Any]:
        return {
            "seed": seed,
            "reward": reward,
            "cost": cost,
            "steps": 1000,
            "success": success,
            "overrides": overrides,
            "goals": 0,
        }

    def record(entries: list[dict[str, Any]]) -> dict[str, Any]:
        return evaluation_record(
            task="PointGoal1",
            variant=None,
            bundle="v1",
            filter_mode="filter",
            action_repeat=4,
            seed=40_000,
            per_episode=entries,
            ticks=500,
        )

    entries = [episode(40_000, 10.0, 0.0, 4, None), episode(40_001, 14.0, 6.0, 1, None)]
    assert record(entries) == {
        "task": "PointGoal1",
        "variant": None,
        "bundle": "v1",
        "filter": "filter",
        "action_repeat": 4,
        "episodes": 2,
        "seed": 40_000,
        "reward_mean": 12.0,
        "reward_std": 2.0,
        "reward_ci95": [10.0, 14.0],  # of two episodes: from one to the other
        "cost_mean": 3.0,
        "cost_std": 3.0,
        "cost_ci95": [0.0, 6.0],
        "success_rate": None,
        "contact_rate": None,
        "overrides_per_100": 1.0,  # 5 of 500 ticks
        "per_episode": entries,
    }
    known = [
        episode(0, 0.0, 0.0, 0, True),
        episode(1, 0.0, 2.0, 0, False),
        episode(2, 0.0, 0.0, 0, False),
        episode(3, 0.0, 0.0, 0, True),
        episode(4, 0.0, 1.0, 0, None),
    ]
    assert record(known)["success_rate"] == 0.5 and record(known)["contact_rate"] == 0.25


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image": "top"}, "needs the cameras front, top, the task has front, back"),
        ({"period_s": 0.1}, "control period is 0.1 s, the task's 0.08 s"),
        ({"adapter": "other"}, "another robot adapter"),
    ],
)
def test_a_bundle_for_another_set_up_is_refused(
    change: dict[str, Any], words: str, bundle: Bundle, seeing: Any
) -> None:
    check_bundle_fits(bundle, seeing)
    manifest = bundle.manifest
    if "image" in change:
        change = {"image": replace(manifest.image, cameras=("front", change["image"]))}
    if "adapter" in change:
        change = {"adapter": replace(manifest.adapter, name="other")}
    with pytest.raises(BundleMismatchError, match=words):
        check_bundle_fits(replace(bundle, manifest=replace(manifest, **change)), seeing)


def test_a_bundle_of_another_rate_does_not_fit_this_one(bundle: Bundle) -> None:
    env = make_env(cameras=("front", "back"), action_repeat=5)
    with pytest.raises(BundleMismatchError, match="set the same action repeat"):
        check_bundle_fits(bundle, env)
    env.close()


def test_evaluation_leaves_the_bundle_as_it_was(bundle: Bundle, seeing: Any) -> None:
    before = {p.name: p.read_bytes() for p in Path(bundle.path).iterdir()}
    drive_episode(seeing, BundleDriver(bundle, Mode.FILTER), SEED)
    assert {p.name: p.read_bytes() for p in Path(bundle.path).iterdir()} == before
