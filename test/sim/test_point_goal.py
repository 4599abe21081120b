"""PointGoal1: rewards, costs, goals and time limit, against numbers worked out by hand."""

import math

import gymnasium
import numpy as np
import pytest

import safe_o2o_ros.sim  # noqa: F401
from safe_o2o_ros.errors import LayoutError, NonFiniteError, UsageError
from safe_o2o_ros.robot import POINT

IDLE = np.zeros(2, np.float32)
FORWARD = np.array([1, 0], np.float32)
BARE = {"agent": [0, 0, 0], "goals": [[1.0, 0.0]], "hazards": [], "vases": []}


def make(layout=None, repeat=1, **kwargs):
    kwargs.setdefault("cameras", ())
    env = gymnasium.make("safe_o2o/PointGoal1-v0", action_repeat=repeat, **kwargs)
    _, info = env.reset(seed=0, options={"layout": layout} if layout else None)
    return env, info


def test_reward_of_the_first_step_is_the_distance_gained():
    env, _ = make(BARE)
    # Force 0.015 N on 0.0051888 kg with damping 0.01 N s/m, Euler with the damping implicit:
    # v <- (v + h F/m) / (1 + h c/m), x <- x + h v, 10 steps of h = 2 ms.
    mass, h = 4 / 3 * np.pi * 1e-3 + 1e-3, 0.002
    v = x = 0.0
    for _ in range(10):
        v = (v + h * 0.015 / mass) / (1 + h * 0.01 / mass)
        x += h * v
    reward = env.step(FORWARD)[1]
    assert isinstance(reward, float)
    assert reward == pytest.approx(x, rel=1e-6)
    assert reward == pytest.approx(6.2e-4, abs=2e-5)


def test_reaching_the_goal_adds_one_and_moves_to_the_next():
    # 0.3004 m away: the first step gains 0.0006 m and reaches the radius of 0.3 m.
    env, _ = make({**BARE, "goals": [[0.3004, 0.0], [-1.0, 0.0], [0.0, 1.2]]})
    _, reward, terminated, truncated, info = env.step(FORWARD)
    assert reward == pytest.approx(1.00062, abs=2e-5)
    assert info["goal"] == [-1.0, 0.0]
    assert info["goals"] == 1
    assert not terminated
    assert not truncated
    # The next reward is measured to the new goal: driving on loses distance, without a jump.
    assert -0.01 < env.step(FORWARD)[1] < 0
    assert env.unwrapped.privileged_state().goal == pytest.approx([-1.0, 0.0])


def test_goals_are_consumed_in_order_then_drawn_and_listed():
    goals = [[0.1, 0.0], [0.0, 0.1], [0.2, 0.0]]
    env, info = make({**BARE, "goals": goals})
    seen = [info["goal"]]
    for _ in range(3):
        info = env.step(IDLE)[4]
        seen.append(info["goal"])
    assert seen[:3] == goals
    assert info["goals"] == 3
    assert info["layout"]["goals"] == seen
    # Drawn by the rule: robot and goal keep 0.4 + 0.305 m apart.
    assert math.dist(seen[3], (0, 0)) >= 0.705


def test_cost_is_one_exactly_while_the_centre_is_in_a_disc():
    # On the edge itself the benchmark's depth of intrusion is 0, and only a positive one costs.
    for distance, expected in ((0.199, 1.0), (0.2, 0.0), (0.201, 0.0)):
        env, info = make({**BARE, "hazards": [[0.0, distance], [0.0, -distance]]})
        assert info["cost"] == 0.0
        assert env.step(IDLE)[4]["cost"] == expected


def test_touching_the_vase_costs_nothing():
    env, _ = make({**BARE, "goals": [[0.0, 5.0]], "vases": [[0.3, 0.0]]})
    assert sum(env.step(FORWARD)[4]["cost"] for _ in range(60)) == 0.0


def test_a_repeat_sums_rewards_and_costs_of_its_steps():
    layout = {**BARE, "hazards": [[0.25, 0.0]], "goals": [[0.9, 0.1]]}
    single, _ = make(layout, repeat=1)
    repeated, _ = make(layout, repeat=4)
    rng = np.random.default_rng(0)
    costs = 0.0
    for _ in range(40):
        action = rng.uniform([0.0, -0.2], [1.0, 0.2]).astype(np.float32)
        steps = [single.step(action) for _ in range(4)]
        _, reward, _, _, info = repeated.step(action)
        assert reward == sum(s[1] for s in steps)
        assert info["cost"] == sum(s[4]["cost"] for s in steps)
        assert info["control_steps"] == steps[-1][4]["control_steps"]
        costs += info["cost"]
    assert 0 < costs < 160
    assert repeated.unwrapped.period_s == pytest.approx(0.08)
    assert single.unwrapped.period_s == pytest.approx(0.02)


@pytest.mark.parametrize(("repeat", "calls"), [(4, 250), (3, 334)])
def test_truncated_after_1000_control_steps_also_within_a_repeat(repeat, calls):
    env, _ = make(BARE, repeat=repeat)
    for _ in range(calls - 1):
        assert env.step(IDLE)[2:4] == (False, False)
    _, _, terminated, truncated, info = env.step(IDLE)
    assert (terminated, truncated, info["control_steps"]) == (False, True, 1000)
    with pytest.raises(UsageError, match="reset"):
        env.step(IDLE)


def test_layout_given_back_replays_the_episode():
    first, _ = make(repeat=4)
    actions = np.random.default_rng(1).uniform(-1, 1, (100, 2)).astype(np.float32)
    run = [first.step(a) for a in actions]
    second, _ = make(run[-1][4]["layout"], repeat=4)
    again = [second.step(a) for a in actions]
    assert [(s[1], s[4]["cost"], s[4]["goal"]) for s in run] == [
        (s[1], s[4]["cost"], s[4]["goal"]) for s in again
    ]


def test_a_reset_leaves_nothing_of_the_last_episode():
    actions = np.random.default_rng(2).uniform(-1, 1, (50, 2)).astype(np.float32)
    env, info = make(repeat=4)
    layout = info["layout"]
    fresh = [env.step(a)[1] for a in actions]
    env.reset(seed=9, options={"layout": BARE})
    for a in actions:
        env.step(a)
    env.reset(seed=0, options={"layout": layout})
    assert [env.step(a)[1] for a in actions] == fresh


def test_actions_are_clipped_and_checked():
    one, _ = make(BARE)
    two, _ = make(BARE)
    assert one.step(np.array([7, -7], np.float32))[1] == two.step(np.array([1, -1], np.float32))[1]
    for bad in (math.nan, math.inf):
        with pytest.raises(NonFiniteError):
            one.step(np.array([0, bad], np.float32))
    with pytest.raises(UsageError, match="shape"):
        one.step(np.zeros(3, np.float32))


def test_bad_arguments_are_refused_by_name():
    with pytest.raises(UsageError, match="front, back"):
        make(cameras=("front", "side"))
    with pytest.raises(UsageError, match="front, back"):
        make(cameras="front")
    with pytest.raises(UsageError, match="default"):
        make(variant="night")
    with pytest.raises(UsageError, match="action_repeat"):
        make(repeat=0)
    env, _ = make()
    with pytest.raises(UsageError, match="layouts"):
        env.reset(options={"layouts": {}})
    with pytest.raises(LayoutError, match="buttons"):
        env.reset(options={"layout": {"buttons": [[0, 0]]}})


def test_privileged_state_reports_the_scene():
    env, _ = make({**BARE, "agent": [0.5, -0.25, 4.0], "hazards": [[1, 1], [1, -1]], "vases": [[-1, 0]]})
    state = env.unwrapped.privileged_state()
    assert state.position == pytest.approx([0.5, -0.25])
    assert state.yaw == pytest.approx(4.0 - 2 * math.pi)
    assert (state.goal_radius, state.hazard_radius, state.control_step_s) == (0.3, 0.2, 0.02)
    assert state.hazards.tolist() == [[1, 1], [1, -1]]
    assert state.vases.tolist() == [[-1, 0]]
    assert state.velocity.tolist() == [0, 0]
    assert env.unwrapped.adapter is POINT
    assert env.unwrapped.task.name == "PointGoal1"
