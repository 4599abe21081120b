"""The Car's demonstrators: their model agrees with the simulator, and they drive as their names say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("mujoco")

from safe_o2o_ros.robot import CAR
from safe_o2o_ros.sim.demonstrators import kinds_of, make_demonstrator
from safe_o2o_ros.sim.demonstrators.car_model import CarModel
from safe_o2o_ros.sim.demonstrators.mix import CAR_SAFE
from safe_o2o_ros.sim.demonstrators.way_field import grid_points, way_field
from safe_o2o_ros.sim.make import make_env
from safe_o2o_ros.sim.robots import AGENT, CAR_ROBOT
from safe_o2o_ros.sim.state import PrivilegedState

PERIOD_S = 0.16
EMPTY = {"agent": [0.0, 0.0, 0.3], "goals": [[50.0, 50.0]], "hazards": [], "vases": []}


def predicted_and_driven(
    plan: list[tuple[float, float]], yaw: float, skip: int = 0
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """x, y in m and turn in rad over the plan after its first `skip` periods: predicted, driven."""
    env = make_env("CarGoal2", 0, (), None)
    env.reset(seed=0, options={"layout": {**EMPTY, "agent": [0.0, 0.0, yaw]}})
    actions = CAR.raw(np.array(plan, np.float32))
    for action in actions[:skip]:
        env.step(action)
    start: PrivilegedState = env.unwrapped.privileged_state()
    for action in actions[skip:]:
        env.step(action)
    end: PrivilegedState = env.unwrapped.privileged_state()
    rest = np.array(plan[skip:], np.float32)[None]
    paths = CarModel(PERIOD_S, rest.shape[1]).predict(
        rest, start.yaw, start.yaw_rate, (float(start.velocity[0]), float(start.velocity[1]))
    )
    dx, dy = end.position - start.position
    turn = float(np.remainder(end.yaw - start.yaw + np.pi, 2 * np.pi) - np.pi)
    told = float(np.remainder(paths.yaw[0, -1] - start.yaw + np.pi, 2 * np.pi) - np.pi)
    return (float(paths.x[0, -1]), float(paths.y[0, -1]), told), (float(dx), float(dy), turn)


@pytest.mark.parametrize(
    ("plan", "metres"),
    [
        ([(1.0, 1.0)] * 10, 0.12),
        # Backwards it holds no course: the caster trails, and what it shakes grows.
        ([(-1.0, -1.0)] * 10, 0.25),
        ([(1.0, -1.0)] * 8, 0.12),
        ([(1.0, 0.0)] * 8, 0.12),
        ([(1.0, 1.0)] * 6 + [(-1.0, 1.0)] * 4, 0.12),
        ([(-1.0, 1.0)] * 4 + [(-1.0, -1.0)] * 6, 0.12),
    ],
)
def test_the_model_agrees_with_the_simulator_over_one_and_a_half_seconds(
    plan: list[tuple[float, float]], metres: float
) -> None:
    for yaw in (0.3, 1.9, 4.1):
        (x, y, turn), (sx, sy, simulated) = predicted_and_driven(plan, yaw)
        assert np.hypot(x - sx, y - sy) < metres
        assert abs(turn - simulated) < 0.3


def test_the_model_agrees_within_2_cm_and_0_1_rad_over_a_period_of_any_driving() -> None:
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(40):
        plan = [tuple(rng.uniform(-1, 1, 2))] * 5 + [tuple(rng.uniform(-1, 1, 2))]
        told, simulated = predicted_and_driven(plan, float(rng.uniform(0, 6)), skip=5)
        errors.append(np.abs(np.subtract(told, simulated)))
    assert (np.quantile(errors, 0.95, axis=0) < [0.02, 0.02, 0.1]).all()


def test_the_model_stops_when_the_wheels_are_let_go() -> None:
    paths = CarModel(PERIOD_S, 10).predict(np.zeros((1, 10, 2), np.float32), 0.0, 0.0, (0.79, 0.0))
    assert paths.x[0, -1] == pytest.approx(0.79 * 0.1, abs=1e-3)
    assert abs(paths.vx_end[0]) < 1e-4


def test_the_hulls_discs_cover_the_car_but_for_corners_that_the_safe_margin_covers() -> None:
    env = make_env("CarGoal2", 0, (), None)
    env.reset(seed=0)
    model = env.unwrapped._scene.model
    for geom in np.flatnonzero(model.body_rootid[model.geom_bodyid] == model.body(AGENT).id):
        # In base_link, whose x axis is the body's -y; a wheel's axis lies along the body's x.
        body = model.geom_bodyid[geom]
        centre = model.geom_pos[geom] + (model.body_pos[body] if body != model.body(AGENT).id else 0.0)
        name = model.geom(geom).name
        sx, sy = {"left": (0.025, 0.05), "right": (0.025, 0.05), "caster": (0.05, 0.05)}.get(
            name, tuple(model.geom_size[geom, :2])
        )
        for ax in np.linspace(-sx, sx, 9):
            for ay in np.linspace(-sy, sy, 9):
                if name == "caster" and np.hypot(ax, ay) > 0.05:
                    continue
                along, left = -(centre[1] + ay), centre[0] + ax
                out = min(np.hypot(along - x, left - y) - r for x, y, r in CAR_ROBOT.hull)
                assert out < CAR_SAFE.inflate_m, name


def test_the_least_time_is_straight_where_free_and_around_a_wall_where_not() -> None:
    x, y = grid_points()
    free = way_field(np.ones_like(x), (1.0, 0.0), 0.3, 0.5)
    seconds, way = free.look_up(np.array([-1.0, 1.0, 4.0]), np.array([0.0, 0.1, 0.0]))
    assert seconds == pytest.approx([1.7 / 0.5, 0.0, 2.7 / 0.5], rel=0.02, abs=1e-3)
    assert way[0] == pytest.approx(0.0, abs=0.1)
    wall = np.where((np.abs(x) < 0.1) & (y > -1.0), 100.0, 1.0).astype(np.float32)
    seconds, way = way_field(wall, (1.0, 0.0), 0.3, 0.5).look_up(np.array([-1.0]), np.array([0.0]))
    # By the wall's corners, to a grid's cell.
    assert seconds[0] == pytest.approx((2 * np.hypot(0.88, 1.04) + 0.24 - 0.3) / 0.5, rel=0.08)
    assert way[0] == pytest.approx(-np.pi / 4, abs=0.15)


@pytest.mark.parametrize("kind", list(kinds_of(CAR)))
def test_equal_seeds_give_equal_actions_within_limits(kind: str) -> None:
    env = make_env("CarGoal2", 0, (), None)
    driver = make_demonstrator(kind, CAR, PERIOD_S)
    runs = []
    for _ in range(2):
        env.reset(seed=10_000)
        driver.reset(7)
        actions = []
        for _ in range(12):
            actions.append(driver.act(env.unwrapped.privileged_state()))
            env.step(actions[-1])
        runs.append(np.stack(actions))
    np.testing.assert_array_equal(runs[0], runs[1])
    assert runs[0].dtype == np.float32 and runs[0].shape == (12, 2)
    assert np.abs(runs[0]).max() <= 1.0


def drive(kind: str, seed: int, periods: int = 125) -> tuple[float, float, list[float]]:
    """Half an episode's reward and cost, and the distance to the nearest vase's centre in each period, m."""
    env = make_env("CarGoal2", 0, (), None)
    driver = make_demonstrator(kind, CAR, env.period_s)
    env.reset(seed=seed)
    driver.reset(seed)
    reward = cost = 0.0
    distances = []
    for _ in range(periods):
        state = env.unwrapped.privileged_state()
        distances.append(float(np.hypot(*(state.vases - state.position).T).min()))
        _, gained, _, _, info = env.step(driver.act(state))
        reward += float(gained)
        cost += info["cost"]
    return reward, cost, distances


def test_safe_reaches_goals_without_cost_wide_keeps_further_off_and_careless_pays() -> None:
    reward, cost, near = drive("safe", 10_001)
    assert reward > 8.0 and cost == 0.0
    wide_reward, wide_cost, wide = drive("safe-wide", 10_001)
    assert wide_reward > 8.0 and wide_cost == 0.0
    assert np.quantile(wide, 0.05) > np.quantile(near, 0.05) + 0.03
    careless_reward, careless_cost, _ = drive("careless", 10_001)
    assert careless_reward > reward and careless_cost > 20.0


def blocked_start() -> tuple[object, PrivilegedState]:
    """A vase right ahead of the car, and the goal behind the vase."""
    env = make_env("CarGoal2", 0, (), None)
    layout = {**EMPTY, "agent": [0.0, 0.0, np.pi / 2], "goals": [[1.6, 0.0]], "vases": [[0.7, 0.0]]}
    env.reset(seed=0, options={"layout": layout})
    return env, env.unwrapped.privileged_state()


def test_careless_pushes_the_vase_that_safe_drives_around() -> None:
    ends = {}
    for kind in ("careless", "safe"):
        env, start = blocked_start()
        assert start.yaw == pytest.approx(0.0, abs=1e-6)
        driver = make_demonstrator(kind, CAR, PERIOD_S)
        driver.reset(0)
        total = 0.0
        for _ in range(60):
            _, _, _, _, info = env.step(driver.act(env.unwrapped.privileged_state()))
            total += info["cost"]
            if info["goals"]:
                break
        ends[kind] = (info["goals"], total)
    assert ends["safe"] == (1, 0.0)
    assert ends["careless"][0] == 1 and ends["careless"][1] > 0.0


def test_a_goal_behind_is_approached_in_reverse() -> None:
    env, start = blocked_start()
    driver = make_demonstrator("safe", CAR, PERIOD_S)
    driver.reset(0)
    behind = replace(start, goal=np.array([-1.5, 0.0]), vases=np.zeros((0, 2)), vases_yaw=np.zeros(0))
    assert (driver.act(behind) < -0.01).all()
