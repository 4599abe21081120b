"""Demonstrators of PointPush1 bring the box to the goal, also past hazards and pillars."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("mujoco")

import safe_o2o_ros.sim  # noqa: F401
from safe_o2o_ros.robot import POINT
from safe_o2o_ros.sim.demonstrators import make_demonstrator
from safe_o2o_ros.sim.demonstrators.planner import PlannerConfig, PlanningDemonstrator
from safe_o2o_ros.sim.demonstrators.point import PointDemonstrator
from safe_o2o_ros.sim.demonstrators.push_box import LEAN_RAD, BoxView, carried_bearings, hull_gap
from safe_o2o_ros.sim.demonstrators.push_field import NODES, WayField
from safe_o2o_ros.sim.demonstrators.push_route import Face

PLAIN = np.ones(NODES.shape[:2], np.float32)
OPEN = {"agent": [-0.9, 0.1, 0.0], "box": [0.0, 0.0], "box_yaw": 0.3, "goals": [[1.0, 0.2], [-3.0, -3.0]],
        "hazards": [], "pillars": []}  # fmt: skip
HAZARD_BETWEEN = {**OPEN, "goals": [[1.2, 0.0], [-3.0, -3.0]], "hazards": [[0.62, 0.02]]}
PILLAR_BETWEEN = {**OPEN, "goals": [[1.4, 0.0], [-3.0, -3.0]], "pillars": [[0.7, 0.02]]}
AGAINST_PILLAR = {**OPEN, "agent": [-0.36, 0.0, 0.0], "box_yaw": 0.0, "goals": [[1.3, 0.0], [-3.0, -3.0]],
                  "pillars": [[0.51, 0.0]]}  # fmt: skip
GOAL_BEHIND = {**OPEN, "goals": [[-1.0, 0.6], [3.0, 3.0]]}


def make(layout: dict[str, Any] | None = None, seed: int = 0) -> Any:
    env = gymnasium.make("safe_o2o/PointPush1-v0", cameras=()).unwrapped
    env.reset(seed=seed, options=None if layout is None else {"layout": layout})
    return env


def drive(kind: str, env: Any, periods: int, seed: int = 0) -> tuple[NDArray[np.float32], float, int]:
    """Until a goal is reached; returns the actions, the cost so far and the goals reached."""
    driver = make_demonstrator(kind, POINT, env.period_s)
    driver.reset(seed)
    actions, cost = [], 0.0
    for _ in range(periods):
        actions.append(driver.act(env.privileged_state()))
        info = env.step(actions[-1])[4]
        cost += info["cost"]
        if info["goals"]:
            break
    return np.stack(actions), cost, info["goals"]


@pytest.mark.parametrize(
    ("layout", "periods"),
    [(OPEN, 60), (HAZARD_BETWEEN, 110), (PILLAR_BETWEEN, 110), (AGAINST_PILLAR, 200), (GOAL_BEHIND, 110)],
    ids=["open", "hazard between", "pillar between", "against the pillar", "goal behind"],
)
def test_safe_brings_the_box_to_the_goal_without_cost(layout: dict[str, Any], periods: int) -> None:
    _, cost, goals = drive("safe", make(layout), periods)
    assert (goals, cost) == (1, 0.0)


def test_careless_drives_through_the_hazard_that_safe_goes_around() -> None:
    _, cost, goals = drive("careless", make(HAZARD_BETWEEN), 110)
    assert goals == 1 and cost > 5.0


def test_a_whole_drawn_episode_brings_many_goals_and_no_cost() -> None:
    env = make(seed=10011)
    driver = make_demonstrator("safe", POINT, env.period_s)
    driver.reset(10011)
    reward = cost = 0.0
    for _ in range(250):
        _, gained, _, _, info = env.step(driver.act(env.privileged_state()))
        reward, cost = reward + float(gained), cost + info["cost"]
    assert info["goals"] >= 3 and reward > 8.0 and cost == 0.0


@pytest.mark.parametrize("kind", ["safe", "safe-bursts"])
def test_equal_seeds_push_alike_and_within_limits(kind: str) -> None:
    first, second, other = (drive(kind, make(OPEN), 30, seed)[0] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.float32 and first.shape[1] == 2 and np.abs(first).max() <= 1.0
    assert not np.array_equal(first, other)


def test_where_there_is_no_box_the_point_drives_as_ever() -> None:
    env = gymnasium.make("safe_o2o/PointGoal1-v0", cameras=()).unwrapped
    env.reset(seed=10000)
    config = PlannerConfig()
    drivers = (PointDemonstrator(POINT, 0.08, config), PlanningDemonstrator(POINT, 0.08, config))
    for driver in drivers:
        driver.reset(4)
    for _ in range(5):
        actions = [driver.act(env.privileged_state()) for driver in drivers]
        np.testing.assert_array_equal(*actions)
        env.step(actions[0])


def test_a_way_over_plain_floor_is_straight() -> None:
    field = WayField(np.array([0.5, -0.3], np.float32), PLAIN)
    for x, y in ((-1.0, 1.2), (0.5, 1.4), (1.7, -0.9)):
        away = np.hypot(x - 0.5, y + 0.3)
        assert float(field.length(np.float32(x), np.float32(y))) == pytest.approx(
            away, rel=0.04
        )  # first order
        towards = np.arctan2(-0.3 - y, 0.5 - x)
        assert float(field.direction(np.float32(x), np.float32(y))) == pytest.approx(towards, abs=0.06)


def test_a_way_leads_around_dear_floor() -> None:
    # A wall from x = -0.15 to 0.15 up to y = 1: over its end, two legs of 0.85 m along and 1 m up, and 0.3 m.
    weight = PLAIN.copy()
    weight[(np.abs(NODES[..., 0]) < 0.15) & (np.abs(NODES[..., 1]) < 1.0)] = 50.0
    field = WayField(np.array([1.0, 0.0], np.float32), weight)
    assert float(field.length(np.float32(-1.0), np.float32(0.0))) == pytest.approx(2.92, abs=0.2)
    # From a little above the middle it is the upper end.
    assert float(field.direction(np.float32(-1.0), np.float32(0.2))) > 0.5


def test_a_carried_box_turns_along_only_when_it_leans_too_far() -> None:
    yaws = np.array([[0.2, 0.4, 1.0, 0.8, 0.2]], np.float32)
    np.testing.assert_allclose(
        carried_bearings(0.1, yaws)[0],
        [0.1, 0.1, 1.0 - LEAN_RAD, 1.0 - LEAN_RAD, 1.0 - LEAN_RAD],
        atol=1e-6,
    )
    # The same bearing a turn away is the same box.
    np.testing.assert_allclose(
        carried_bearings(0.1 - 2 * np.pi, yaws), carried_bearings(0.1, yaws), atol=1e-5
    )


def test_the_hull_of_the_box_reaches_over_its_posts() -> None:
    x, y = np.array([0.5, 0.6, 0.0], np.float32), np.array([0.0, 0.7, 0.1], np.float32)
    np.testing.assert_allclose(hull_gap(x, y, 0.0), [0.2, 0.5, 0.0], atol=1e-6)
    # Turned by an eighth, its corner is 0.424 m ahead, between the lines of two faces.
    assert float(hull_gap(x[:1], y[:1], np.pi / 4)[0]) == pytest.approx(0.5 - 0.3 * np.sqrt(2.0), abs=1e-6)


def test_a_box_in_the_notch_is_carried_and_one_aside_is_not() -> None:
    state = make({**OPEN, "agent": [-0.352, 0.0, 0.0], "box_yaw": 0.0}).privileged_state()
    view = BoxView.of(state)
    assert view.carried() and view.seated()
    assert (view.ahead, view.left, view.yaw) == pytest.approx((0.352, 0.0, 0.0), abs=1e-3)
    aside = BoxView.of(make({**OPEN, "agent": [-0.352, 0.25, 0.0], "box_yaw": 0.0}).privileged_state())
    assert not aside.carried()


def test_a_face_is_ready_when_the_robot_stands_before_it_and_looks_at_it() -> None:
    face = Face(np.zeros(2, np.float32), 0.0)
    for agent, ready in (([-0.6, 0.0, 0.2], True), ([-0.6, 0.3, 0.2], False), ([-0.6, 0.0, 1.5], False)):
        assert face.ready(make({**OPEN, "agent": agent}).privileged_state()) is ready
    np.testing.assert_allclose(face.stage(0.5), [-0.5, 0.0], atol=1e-6)
