"""RoomNav: rewards, costs, endings and the base's motion, against numbers worked out by hand."""

import math

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import safe_o2o_ros.sim  # noqa: F401
from safe_o2o_ros.errors import LayoutError, NonFiniteError, UsageError
from safe_o2o_ros.robot import ADAPTERS, ROOM_BASE
from safe_o2o_ros.sim.make import make_env

IDLE = np.zeros(2, np.float32)
FORWARD = np.array([1, 0], np.float32)
BACKWARD = np.array([-1, 0], np.float32)
GREY = {"rgb": [0.5, 0.5, 0.5]}
FREE = {"agent": [-1.5, 0.0, 0.0], "goals": [[1.5, 0.0]], "furniture": {}}


def make(layout=None, seed=0, **kwargs):
    kwargs.setdefault("cameras", ())
    env = gymnasium.make("safe_o2o/RoomNav-v0", **kwargs)
    _, info = env.reset(seed=seed, options={"layout": layout} if layout else None)
    return env, info


def drive(env, action, steps):
    """Results of up to `steps` steps with one action, to the end of the episode."""
    results = []
    for _ in range(steps):
        results.append(env.step(np.asarray(action, np.float32)))
        if results[-1][2] or results[-1][3]:
            break
    return results


def state(env):
    return env.unwrapped.privileged_state()


def test_the_base_keeps_its_limits_of_speed_and_acceleration():
    env, _ = make(FREE)
    before = state(env)
    speeds = []
    for _ in range(12):
        env.step(np.array([1.0, 0.5], np.float32))
        now = state(env)
        speed = float(np.hypot(*now.velocity))
        # 0.9 m/s^2 and 3 rad/s^2 in steps of 0.1 s; the servos lag by 10 ms.
        assert speed - float(np.hypot(*before.velocity)) <= 0.09 + 1e-4
        assert now.yaw_rate - before.yaw_rate <= 0.3 + 1e-3
        speeds.append(speed)
        before = now
    assert speeds[0] == pytest.approx(0.081, abs=2e-3)
    assert speeds[3] == pytest.approx(0.351, abs=2e-3)
    assert speeds[-1] == pytest.approx(0.46, abs=1e-3)
    assert before.yaw_rate == pytest.approx(0.95, abs=1e-3)
    # It drives along its heading.
    assert math.atan2(before.velocity[1], before.velocity[0]) == pytest.approx(before.yaw, abs=0.01)


def test_the_brake_of_the_adapter_stops_the_base_in_the_time_its_limits_say():
    env, _ = make({**FREE, "agent": [-2.0, 0.0, 0.0]})
    drive(env, FORWARD, 10)
    assert np.hypot(*state(env).velocity) == pytest.approx(0.46, abs=1e-3)
    start = state(env).position[0]
    drive(env, IDLE, 6)  # 0.46 / 0.9 = 0.51 s
    assert np.hypot(*state(env).velocity) < 2e-3
    # v^2 / 2a, and 10 ms of lag at full speed.
    assert state(env).position[0] - start == pytest.approx(0.46**2 / 1.8 + 0.0046, abs=3e-3)


def test_the_adapter_is_a_velocity_base_with_those_limits():
    assert ADAPTERS["room_base"] is ROOM_BASE
    assert all(holds for _, holds in ROOM_BASE.promises())
    assert ROOM_BASE.to_twist(np.array([1.0, -1.0], np.float32)) == {"linear.x": 0.46, "angular.z": -1.9}
    assert np.multiply(ROOM_BASE.max_accel, ROOM_BASE.top_speed) == pytest.approx([0.9, 3.0])
    assert np.multiply(ROOM_BASE.max_decel, ROOM_BASE.top_speed) == pytest.approx([0.9, 3.0])


def test_reward_is_the_path_gained_and_ten_at_the_goal():
    env, info = make(FREE)
    results = drive(env, FORWARD, 600)
    rewards = [r[1] for r in results]
    # Straight ahead the path is the line. First step: a t^2 / 2 with 0.9 m/s^2 and a lag of 10 ms.
    assert rewards[0] == pytest.approx(0.5 * 0.9 * 0.09**2, abs=3e-4)
    assert all(r == pytest.approx(0.046, abs=1e-3) for r in rewards[10:-1])
    _, last, terminated, truncated, info = results[-1]
    assert (terminated, truncated) == (True, False)
    assert last == pytest.approx(10.046, abs=1e-3)
    assert sum(rewards) == pytest.approx(10 + 3.0 - math.dist(state(env).position, (1.5, 0.0)), abs=3e-3)
    assert 0.4 - 0.046 <= math.dist(state(env).position, (1.5, 0.0)) <= 0.4
    assert (info["success"], info["reached"], info["goals"], info["contacts"]) == (True, True, 1, 0)
    assert info["control_steps"] == len(results)
    with pytest.raises(UsageError, match="reset"):
        env.step(IDLE)


def test_rewards_follow_the_path_around_furniture_and_not_the_straight_line():
    screen = {"position": [0.0, -0.75], "yaw": 0.0, "size": [0.1, 1.25, 0.5], **GREY}
    layout = {**FREE, "agent": [-0.6, -0.5, 0.0], "furniture": {"boxes": [screen]}}
    env, _ = make(layout)
    before = state(env).path_distance_m
    assert before > 2.1 + 0.5
    # Ahead lies the goal, behind the screen: driving there gains hardly anything.
    towards = sum(r[1] for r in drive(env, FORWARD, 8))
    assert towards < 0.5 * (state(env).position[0] + 0.6)
    assert towards == pytest.approx(before - state(env).path_distance_m)


def test_clearance_is_measured_from_the_rim():
    cases = {
        # centre to wall at x = -2.5
        (-2.0, 0.0): 0.5 - 0.17,
        # to a cylinder of radius 0.1 at the origin: 3-4-5
        (0.3, 0.4): 0.5 - 0.1 - 0.17,
        # to the corner (1, -1) of a box: 3-4-5
        (0.7, -0.6): 0.5 - 0.17,
    }
    furniture = {
        "cylinders": [{"position": [0.0, 0.0], "size": [0.1, 0.5], **GREY}],
        "boxes": [{"position": [1.2, -1.3], "yaw": 0.0, "size": [0.2, 0.3, 0.5], **GREY}],
    }
    for (x, y), expected in cases.items():
        env, info = make({"agent": [x, y, 0.0], "goals": [[2.0, 1.5]], "furniture": furniture})
        assert info["clearance"] == pytest.approx(expected, abs=1e-12)
        assert state(env).clearance_m == info["clearance"]


@pytest.mark.parametrize(("gap", "cost"), [(0.019, 1.0), (0.021, 0.0)])
def test_nearer_than_two_centimetres_costs_without_being_a_contact(gap, cost):
    env, info = make({**FREE, "agent": [-2.5 + 0.17 + gap, 0.0, 0.0]})
    assert info["cost"] == 0.0
    info = env.step(IDLE)[4]
    assert info["cost"] == cost
    assert (info["contact"], info["contacts"]) == (False, 0)


def test_pressing_against_a_box_is_contact_every_step_and_moves_nothing():
    chest = {"position": [0.0, 0.0], "yaw": 0.2, "size": [0.2, 0.3, 0.5], **GREY}
    env, _ = make({**FREE, "agent": [-1.0, 0.0, 0.0], "furniture": {"boxes": [chest]}})
    results = drive(env, FORWARD, 60)
    late = results[30:]
    assert all(r[4]["contact"] and r[4]["cost"] == 1.0 for r in late)
    assert all(-0.01 < r[4]["clearance"] < 1e-3 for r in results[25:])
    assert results[-1][4]["contacts"] == sum(r[4]["contact"] for r in results)
    assert state(env).obstacles[0].x == 0.0
    # And it comes free again.
    assert drive(env, BACKWARD, 15)[-1][4]["contact"] is False


def test_a_goal_reached_after_a_contact_is_no_success():
    env, _ = make({**FREE, "agent": [-2.32, 0.0, 0.0]})
    drive(env, BACKWARD, 3)
    info = drive(env, FORWARD, 400)[-1][4]
    assert info["reached"] and info["contacts"] > 0
    assert info["success"] is False


def test_legs_are_in_the_way_and_the_top_is_not():
    table = {"position": [0.0, 0.0], "yaw": 0.0, "size": [0.4, 0.5, 0.6], **GREY}
    under, _ = make({**FREE, "furniture": {"tables": [table]}})
    assert drive(under, FORWARD, 300)[-1][4]["success"]
    # Legs stand at y = +-0.465.
    against, _ = make({**FREE, "agent": [-1.5, 0.465, 0.0], "furniture": {"tables": [table]}})
    assert drive(against, FORWARD, 60)[-1][4]["contacts"] > 0


def test_truncated_after_600_control_steps_also_within_a_repeat():
    for repeat, calls in ((1, 600), (7, 86)):
        env, _ = make(FREE, action_repeat=repeat)
        results = drive(env, IDLE, 1000)
        assert len(results) == calls
        assert results[-1][2:4] == (False, True)
        assert results[-1][4]["control_steps"] == 600
        assert env.unwrapped.period_s == pytest.approx(0.1 * repeat)


def test_a_repeat_sums_rewards_and_costs_of_its_steps():
    layout = {**FREE, "agent": [-2.0, 0.0, math.pi]}
    single, _ = make(layout)
    repeated, _ = make(layout, action_repeat=3)
    for _ in range(8):
        steps = [single.step(FORWARD) for _ in range(3)]
        _, reward, _, _, info = repeated.step(FORWARD)
        assert reward == pytest.approx(sum(s[1] for s in steps), abs=1e-12)
        assert info["cost"] == sum(s[4]["cost"] for s in steps)
        assert info["contact"] == any(s[4]["contact"] for s in steps)
    assert info["cost"] > 0


def test_nothing_drives_it_out_of_the_room_or_into_things():
    worst = 1.0
    for seed in range(6):
        env, _ = make(seed=seed)
        rng = np.random.default_rng(seed)
        done = False
        while not done:
            action = rng.uniform([0.3, -1.0], [1.0, 1.0]) * rng.choice([-1.0, 1.0], p=[0.2, 0.8])
            for result in drive(env, action, 10):
                worst = min(worst, result[4]["clearance"])
                assert math.isfinite(result[1])
                assert abs(result[1]) < 0.2 or result[4]["reached"]
                done = result[2] or result[3]
        assert np.hypot(*state(env).velocity) < 0.5
    assert -0.01 < worst < 0.0


def test_layout_given_back_replays_the_episode():
    first, info = make(seed=5)
    actions = np.random.default_rng(1).uniform([-0.2, -1], [1, 1], (150, 2)).astype(np.float32)
    run = [first.step(a) for a in actions]
    second, _ = make(info["layout"], seed=77)
    again = [second.step(a) for a in actions]
    assert [(s[1], s[4]) for s in run] == [(s[1], s[4]) for s in again]
    assert any(s[4]["contact"] for s in run)


def test_what_a_caller_does_to_a_layout_stays_with_him():
    env, info = make(FREE)
    info["layout"]["goals"][0][0] = 99.0
    assert env.step(IDLE)[4]["layout"]["goals"] == [[1.5, 0.0]]


def test_actions_are_clipped_and_checked():
    one, _ = make(FREE)
    two, _ = make(FREE)
    assert one.step(np.array([7, -7], np.float32))[1] == two.step(np.array([1, -1], np.float32))[1]
    for bad in (math.nan, math.inf):
        with pytest.raises(NonFiniteError):
            one.step(np.array([0, bad], np.float32))
    with pytest.raises(UsageError, match="shape"):
        one.step(np.zeros(3, np.float32))


def test_bad_arguments_are_refused_by_name():
    with pytest.raises(UsageError, match="front, back"):
        make(cameras=("side",))
    with pytest.raises(UsageError, match="default"):
        make(variant="night")
    with pytest.raises(UsageError, match="action_repeat"):
        make(action_repeat=0)
    env, _ = make()
    with pytest.raises(UsageError, match="layouts"):
        env.reset(options={"layouts": {}})
    with pytest.raises(LayoutError, match="hazards"):
        env.reset(options={"layout": {"hazards": [[0, 0]]}})
    with pytest.raises(UsageError, match="reset"):
        gymnasium.make("safe_o2o/RoomNav-v0", cameras=()).unwrapped.privileged_state()


def test_the_same_outside_as_the_other_tasks():
    env = make_env("RoomNav", 1, ("front",), None)
    assert (env.task.name, env.task.episode_steps, env.period_s) == ("RoomNav", 600, 0.1)
    assert env.adapter is env.task.robot.adapter is ROOM_BASE
    env.reset(seed=0)
    now = env.privileged_state()
    assert list(now.cameras) == ["front"]
    assert now.cameras["front"].to_json() == {
        "fovy_deg": 90.0,
        "position": [0.12, 0.0, 0.25],
        "xyaxes": pytest.approx(
            [0, -1, 0, math.sin(math.radians(15)), 0, math.cos(math.radians(15))], abs=1e-4
        ),
    }
    assert (now.reach_m, now.robot_radius_m, now.control_step_s) == (0.4, 0.17, 0.1)
    assert now.half_size.tolist() == [2.5, 2.0]
    env.close()


def test_passes_gymnasiums_checker():
    check_env(gymnasium.make("safe_o2o/RoomNav-v0").unwrapped, skip_render_check=True)
