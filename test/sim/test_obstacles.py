"""Distances to what costs, along plans and now, and the ways around it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from safe_o2o_ros.robot import POINT
from safe_o2o_ros.sim.demonstrators import make_demonstrator
from safe_o2o_ros.sim.demonstrators.detours import Detours
from safe_o2o_ros.sim.demonstrators.model import PointModel
from safe_o2o_ros.sim.demonstrators.obstacles import NOWHERE_M, Obstacles, clearance_m
from safe_o2o_ros.sim.demonstrators.way import Way
from safe_o2o_ros.sim.state import PrivilegedState

NOTHING = PrivilegedState(
    position=np.array([1.0, 1.0]),
    yaw=0.0,
    velocity=np.zeros(2),
    yaw_rate=0.0,
    goal=np.array([3.0, 1.0]),
    goal_radius=0.3,
    hazards=np.zeros((0, 2)),
    hazard_radius=0.2,
    vases=np.zeros((0, 2)),
    control_step_s=0.02,
    hull=((0.0, 0.0, 0.1), (0.1, 0.0, 0.06)),
)


def points(*pairs: tuple[float, float]) -> np.ndarray:
    return np.array(pairs, np.float64)


def test_nothing_that_costs_is_far_away() -> None:
    assert clearance_m(NOTHING) == NOWHERE_M


def test_a_hazard_counts_from_the_centre_and_negative_inside() -> None:
    assert clearance_m(replace(NOTHING, hazards=points((1.5, 1.0), (1.0, 1.9)))) == pytest.approx(0.3)
    assert clearance_m(replace(NOTHING, hazards=points((1.0, 1.15)))) == pytest.approx(-0.05)


def test_a_square_hazard_counts_by_its_sides_however_it_is_turned() -> None:
    square = replace(NOTHING, hazards=points((1.5, 1.0)), hazard_half_m=0.2, hazard_radius=0.2 * 2**0.5)
    assert clearance_m(replace(square, hazards_yaw=np.zeros(1))) == pytest.approx(0.3)
    turned = clearance_m(replace(square, hazards_yaw=np.array([np.pi / 4])))
    assert turned == pytest.approx(0.5 - 0.2 * 2**0.5)


def test_a_vase_counts_from_the_hull_where_vases_cost() -> None:
    ahead = replace(NOTHING, vases=points((1.5, 1.0)), vases_yaw=np.zeros(1), vases_cost=True)
    assert clearance_m(ahead) == pytest.approx(0.5 - 0.1 - 0.16)  # half a vase, the nose
    assert clearance_m(replace(ahead, yaw=np.pi)) == pytest.approx(0.5 - 0.1 - 0.1)  # half a vase, the ball
    assert clearance_m(replace(ahead, vases_cost=False)) == NOWHERE_M


def test_wrong_buttons_count_once_the_time_of_grace_is_over_and_block_even_then() -> None:
    state = replace(NOTHING, buttons=points((1.0, 1.5), (1.0, 0.8)), goal_button=1)
    assert clearance_m(state) == pytest.approx(0.5 - 0.1 - 0.1)
    assert clearance_m(replace(state, grace_steps=4)) == NOWHERE_M
    times = np.array([0.04, 0.07, 0.10], np.float32)
    zero = np.zeros((1, 3), np.float32)
    graced = Obstacles(replace(state, grace_steps=4), times)  # 0.08 s
    np.testing.assert_allclose(graced.costs(zero, zero, zero, 1.0), [[1.0, 1.0, 0.3]], atol=1e-6)
    np.testing.assert_allclose(graced.blocks(zero, zero, zero, 1.0), [[0.3, 0.3, 0.3]], atol=1e-6)


def test_a_gremlin_is_expected_where_its_circle_leads_it() -> None:
    lag, now, later = 0.09, 1.0, 1.5
    place = np.array([2.0, 1.0])
    led = [place + 0.35 * np.array([np.sin(t - lag), np.cos(t - lag)]) for t in (now, now + later)]
    state = replace(
        NOTHING,
        gremlins=led[0][None],
        gremlins_yaw=np.zeros(1),
        gremlin_places=place[None],
        gremlin_lag_s=lag,
        time_s=now,
    )
    there = (led[1] - state.position).astype(np.float32)
    obstacles = Obstacles(state, np.array([later], np.float32))
    gap = obstacles.costs(*(np.full((1, 1), v, np.float32) for v in (*there, 0.0)), 1.0)
    assert gap[0, 0] == pytest.approx(-0.2, abs=1e-5)  # on its middle: half a gremlin and the ball deep


@pytest.mark.parametrize(("kind", "touches"), [("safe", False), ("careless", True)])
def test_only_safe_drivers_make_way_for_a_gremlin_that_is_about_to_cross(kind: str, touches: bool) -> None:
    driver = make_demonstrator(kind, POINT, 0.08)
    driver.reset(0)
    model = PointModel(0.08, horizon=1)
    place, start_s = np.array([2.0, 1.0]), np.pi / 2 - 0.6  # crosses the line to the goal at pi / 2
    state, least = NOTHING, np.inf
    for period in range(30):
        time_s = start_s + 0.08 * period
        led = place + 0.35 * np.array([np.sin(time_s - 0.09), np.cos(time_s - 0.09)])
        state = replace(
            state, gremlins=led[None], gremlins_yaw=np.zeros(1), gremlin_places=place[None], time_s=time_s
        )
        least = min(least, clearance_m(state))
        plan = POINT.effective(driver.act(state))[None, None]
        path = model.predict(plan, state.yaw, state.yaw_rate, (state.velocity[0], state.velocity[1]))
        turned = float(path.yaw[0, -1])
        state = replace(
            state,
            position=state.position + np.array([path.x[0, -1], path.y[0, -1]], np.float64),
            velocity=np.array([path.vx_end[0], path.vy_end[0]], np.float64),
            yaw_rate=(turned - state.yaw) / 0.08,
            yaw=turned,
        )
    assert (least < 0.0) == touches
    assert np.hypot(*(state.goal - state.position)) < 0.7


def test_a_moving_hazard_is_followed_round_its_turn() -> None:
    state = replace(
        NOTHING, hazards=points((1.0, 1.0)), hazards_velocity=points((0.4, 0.0)), hazards_turn_rate=2.0
    )
    obstacles = Obstacles(state, np.array([np.pi / 4], np.float32))  # a quarter of a circle of 0.2 m
    gap = obstacles.costs(*(np.full((1, 1), v, np.float32) for v in (0.2, 0.2, 0.0)), 1.0)
    assert gap[0, 0] == pytest.approx(-0.2, abs=1e-5)


def test_gaps_of_many_plans_are_those_of_each_place_alone() -> None:
    rng = np.random.default_rng(0)
    state = replace(
        NOTHING,
        hazards=rng.uniform(0, 2, (4, 2)),
        vases=rng.uniform(0, 2, (4, 2)),
        vases_yaw=rng.uniform(-3, 3, 4),
        vases_cost=True,
    )
    x, y, yaw = (rng.uniform(-1, 1, (5, 6)).astype(np.float32) for _ in range(3))
    together = Obstacles(state, np.zeros(6, np.float32)).costs(x, y, yaw, 0.5)
    alone = [
        min(clearance_m(replace(state, position=state.position + [px, py], yaw=a)), 0.5)
        for px, py, a in zip(x.flat, y.flat, yaw.flat, strict=True)
    ]
    np.testing.assert_allclose(together.ravel(), alone, atol=1e-5)


def test_a_way_leads_straight_where_it_is_free_and_else_over_a_corner() -> None:
    ways = Detours(points((0.0, 0.0)), np.array([0.5]))
    ways.aim(np.array([1.0, 0.0]))
    x, y, rest = ways.onward(np.array([1.5, -1.0], np.float32), np.array([0.0, 0.01], np.float32))
    assert (x[0], y[0], rest[0]) == (1.0, 0.0, 0.0)
    length = np.hypot(x[1] + 1.0, y[1] - 0.01) + rest[1]
    around = 2 * (0.75**0.5 + 0.5 * np.pi / 6)  # tangents of 0.87 m and the arc of 60 degrees between them
    assert around <= length < 1.1 * around


def test_a_goal_that_is_walled_in_is_headed_for_all_the_same() -> None:
    angles = np.arange(8) * np.pi / 4
    ways = Detours(np.stack([np.cos(angles), np.sin(angles)], axis=1), np.full(8, 0.5))
    ways.aim(np.zeros(2))
    x, y, rest = ways.onward(np.full(1, 2.0, np.float32), np.zeros(1, np.float32))
    assert (x[0], y[0], rest[0]) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("kind", ["safe", "safe-wide"])
@pytest.mark.parametrize("task", ["PointGoal1", "PointButton1", "PointGoal2"])
def test_safe_drivers_reach_goals_and_touch_nothing_that_costs(task: str, kind: str) -> None:
    pytest.importorskip("mujoco")
    from safe_o2o_ros.sim import make

    env = make.make_env(task, 0, (), None)
    base = env.unwrapped
    driver = make_demonstrator(kind, POINT, base.period_s)
    reward = 0.0
    for seed in (10_000, 10_001):
        env.reset(seed=seed)
        driver.reset(seed)
        for _ in range(60):
            _, gained, _, _, info = env.step(driver.act(base.privileged_state()))
            reward += float(gained)
            assert info["cost"] == 0.0
    env.close()
    assert reward > 4.0


def test_what_costs_has_no_clearance_left() -> None:
    pytest.importorskip("mujoco")
    from safe_o2o_ros.sim import make

    env = make.make_env("PointButton1", 1, (), None)
    base = env.unwrapped
    driver = make_demonstrator("careless", POINT, 0.08)
    costly, free = [], []
    env.reset(seed=10_001)
    driver.reset(0)
    for step in range(600):
        if step % 4 == 0:
            action = driver.act(base.privileged_state())
        _, _, _, _, info = env.step(action)
        (costly if info["cost"] else free).append(clearance_m(base.privileged_state()))
    env.close()
    # The hull's discs are within 1.5 cm of the geometry, and contact ends inside it.
    assert len(costly) > 20 and max(costly) < 0.02
    assert np.mean(np.array(free) > 0.0) > 0.97


def test_less_room_is_kept_only_where_the_way_leaves_no_more() -> None:
    shares = (1.0, 0.5, 0.4)
    assert Way().look(replace(NOTHING, hazards=points((2.0, 1.0))), 0.3, shares) == 1.0
    angles = np.pi / 8 + np.arange(8) * np.pi / 4
    ring = 0.9 * np.stack([np.cos(angles), np.sin(angles)], axis=1) + NOTHING.position
    # Between neighbours: 1.8 sin(pi / 8) - 0.4 = 0.289 m, enough for 0.12 m on either side, not for 0.15 m.
    assert Way().look(replace(NOTHING, hazards=ring), 0.3, shares) == 0.4
