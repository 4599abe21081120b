"""Demonstrators keep their contract, and drive as their names say."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from safe_o2o_ros.cli import collect
from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.robot import CAR, POINT, ROOM_BASE, RobotAdapter
from safe_o2o_ros.sim.demonstrators import (
    KINDS,
    default_mix,
    kind_of,
    kinds_of,
    make_demonstrator,
    parse_mix,
)
from safe_o2o_ros.sim.demonstrators.base import Source
from safe_o2o_ros.sim.demonstrators.model import TIME_CONSTANT_S, PointModel
from safe_o2o_ros.sim.state import PrivilegedState

PERIOD_S = 0.08


def state(goal: tuple[float, float], hazards: list[tuple[float, float]], yaw: float = 0.0) -> PrivilegedState:
    """At rest in the origin."""
    return PrivilegedState(
        position=np.zeros(2),
        yaw=yaw,
        velocity=np.zeros(2),
        yaw_rate=0.0,
        goal=np.array(goal),
        goal_radius=0.3,
        hazards=np.array(hazards, np.float64).reshape(-1, 2),
        hazard_radius=0.2,
        vases=np.zeros((0, 2)),
        control_step_s=0.02,
    )


def test_the_model_approaches_top_speed_with_the_time_constant() -> None:
    model = PointModel(PERIOD_S, horizon=14)
    plans = np.zeros((1, 14, 2), np.float32)
    plans[..., 0] = 1.0
    paths = model.predict(plans, 0.0, 0.0, (0.0, 0.0))
    t = 14 * PERIOD_S
    settle = 1.0 - np.exp(-t / TIME_CONSTANT_S)
    assert paths.vx_end[0] == pytest.approx(1.5 * settle, rel=1e-4)
    assert paths.x[0, -1] == pytest.approx(1.5 * (t - TIME_CONSTANT_S * settle), rel=1e-4)
    assert paths.y[0, -1] == pytest.approx(0.0, abs=1e-6)


def test_the_model_turns_at_the_servo_rate_and_keeps_drifting() -> None:
    model = PointModel(PERIOD_S, horizon=10)
    plans = np.zeros((1, 10, 2), np.float32)
    plans[..., 1] = 0.5
    paths = model.predict(plans, 0.0, 1.34, (0.0, 1.0))
    assert paths.yaw[0, -1] == pytest.approx(1.34 * 0.8, rel=1e-4)
    assert paths.vy_end[0] == pytest.approx(np.exp(-0.8 / TIME_CONSTANT_S), rel=1e-4)


@pytest.mark.parametrize("kind", list(kinds_of(POINT)))
def test_equal_seeds_give_equal_actions_within_limits(kind: str) -> None:
    runs = []
    for _ in range(2):
        driver = make_demonstrator(kind, POINT, PERIOD_S)
        driver.reset(7)
        runs.append(np.stack([driver.act(state((1.0, 0.3), [(0.6, 0.0)])) for _ in range(40)]))
    np.testing.assert_array_equal(runs[0], runs[1])
    assert runs[0].dtype == np.float32 and runs[0].shape == (40, 2)
    assert np.abs(runs[0]).max() <= 1.0
    driver.reset(8)
    other = np.stack([driver.act(state((1.0, 0.3), [(0.6, 0.0)])) for _ in range(40)])
    assert not np.array_equal(runs[0], other)


@pytest.mark.parametrize("kind", ["safe", "bold", "careless"])
def test_a_free_way_to_the_goal_is_driven_at_full_thrust(kind: str) -> None:
    driver = make_demonstrator(kind, POINT, PERIOD_S)
    driver.reset(0)
    action = driver.act(state((1.5, 0.0), [(-1.0, 1.0)]))
    assert action[0] == pytest.approx(0.05, abs=0.005)  # smallest raw action with the full effect
    assert abs(action[1]) < 0.3


def drive(kind: str, start: PrivilegedState, periods: int = 30) -> tuple[float, float]:
    """Drive the analytic model; returns the least distances to the goal and to the first hazard, metres."""
    driver = make_demonstrator(kind, POINT, PERIOD_S)
    driver.reset(0)
    model = PointModel(PERIOD_S, horizon=1)
    now, goal, hazard = start, np.inf, np.inf
    for _ in range(periods):
        plan = POINT.effective(driver.act(now))[None, None]
        path = model.predict(plan, now.yaw, now.yaw_rate, (now.velocity[0], now.velocity[1]))
        turned = float(path.yaw[0, -1])
        now = replace(
            now,
            position=now.position + np.array([path.x[0, -1], path.y[0, -1]], np.float64),
            velocity=np.array([path.vx_end[0], path.vy_end[0]], np.float64),
            yaw=turned,
            yaw_rate=(turned - now.yaw) / PERIOD_S,
        )
        goal = min(goal, float(np.hypot(*(now.goal - now.position))))
        hazard = min(hazard, float(np.hypot(*(now.hazards[0] - now.position))))
    return goal, hazard


def test_safe_goes_around_the_hazard_that_careless_drives_through() -> None:
    start = state((1.6, 0.0), [(0.8, 0.02)])
    goal, hazard = drive("careless", start)
    assert goal <= 0.3 and hazard < 0.2
    goal, hazard = drive("safe", start)
    assert goal <= 0.3 and hazard > 0.2


def test_bursts_say_which_actions_were_random() -> None:
    driver = make_demonstrator("safe-bursts", POINT, PERIOD_S)
    driver.reset(3)
    lengths, run = [], 0
    for _ in range(300):
        driver.act(state((1.0, 0.3), []))
        if driver.source is Source.RANDOM:
            run += 1
        elif run:
            lengths.append(run)
            run = 0
    assert lengths and min(lengths) >= 3


@pytest.mark.parametrize("adapter", [POINT, CAR, ROOM_BASE], ids=lambda a: str(a.name))
def test_kinds_are_spread_by_seed_in_the_shares_of_the_robots_mix(adapter: RobotAdapter) -> None:
    mix = default_mix(adapter)
    assert sum(mix.values()) == pytest.approx(1.0)
    given = [kind_of(seed, mix) for seed in range(1000)]
    for kind, share in mix.items():
        assert given.count(kind) == pytest.approx(1000 * share, abs=5)


def test_a_reference_is_no_part_of_the_default_mix() -> None:
    assert "straight" in kinds_of(ROOM_BASE) and "straight" not in default_mix(ROOM_BASE)


def test_a_mix_is_normalised_and_a_bad_one_named() -> None:
    assert parse_mix("safe:3,random:1", POINT) == {"safe": 0.75, "random": 0.25}
    for text, words in [
        ("safe:1,brave:1", "no demonstrator 'brave'"),
        ("straight", "no demonstrator 'straight' for the robot 'point'"),
        ("safe:x", "must be a number"),
        ("safe:-1", "not negative"),
        ("safe:0", "not all be zero"),
    ]:
        with pytest.raises(UsageError, match=words):
            parse_mix(text, POINT)


def test_a_robot_without_a_demonstrator_is_refused() -> None:
    with pytest.raises(UsageError, match=f"no demonstrator drives the robot 'arm'.*{', '.join(KINDS)}"):
        make_demonstrator("safe", replace(POINT, name="arm"), PERIOD_S)


def options(out: Path, **changes: object) -> Namespace:
    fields = {
        "task": "PointGoal1", "variant": None, "episodes": 3, "out": out, "seed": 0,
        "mix": "random:1", "workers": 1, "images": "png", "bundle": None,
    }  # fmt: skip
    return Namespace(**(fields | changes))


@pytest.mark.parametrize(("seed", "episodes"), [(9_999, 2), (29_999, 2), (-1, 1), (40_000, 5)])
def test_collect_refuses_seeds_kept_for_other_uses(tmp_path: Path, seed: int, episodes: int) -> None:
    with pytest.raises(UsageError, match="0-9999 .training."):
        collect.plan(options(tmp_path, seed=seed, episodes=episodes))


def test_collect_stores_every_seed_once_and_continues(tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    from safe_o2o_ros.data import EpisodeReader

    store = tmp_path / "store"
    assert collect.run(options(store, episodes=2)) == 0
    assert collect.run(options(store, episodes=3)) == 0
    reader = EpisodeReader(store)
    assert sorted(m["seed"] for m in reader.metadata()) == [0, 1, 2]
    episode = reader.load(0)
    assert len(episode) == 250 and episode.truncated and not episode.terminated
    assert episode.images["front"].shape == episode.images["back"].shape == (251, 64, 64, 3)
    assert episode.metadata["success"] is None and episode.metadata["action_repeat"] == 4
    assert episode.metadata["views"]["back"] == {
        "fovy_deg": 90.0,
        "position": [0.0, 0.0, 0.15],
        "xyaxes": [0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
    }
    assert episode.metadata["demonstrator"] == "random" and episode.metadata["period_s"] == PERIOD_S
    clearance, inside = episode.extras["clearance"], episode.costs > 0
    assert (clearance[1:][inside] < 0.12).all()  # costs lie where hazards are (up to 3 steps earlier)
    assert reader.manifest.seeds == (0, 2)
