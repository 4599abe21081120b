"""The Point robot moves as in the published benchmark (numbers measured on the original)."""

import gymnasium
import numpy as np
import pytest

import safe_o2o_ros.sim  # noqa: F401

EMPTY = {"agent": [0, 0, 0], "goals": [[50.0, 50.0]], "hazards": [], "vases": []}


def drive(action, steps, yaw=0.0):
    """States after each of `steps` control steps of a constant action in an empty arena."""
    env = gymnasium.make("safe_o2o/PointGoal1-v0", cameras=(), action_repeat=1)
    env.reset(seed=0, options={"layout": {**EMPTY, "agent": [0, 0, yaw]}})
    states = []
    for _ in range(steps):
        env.step(np.array(action, np.float32))
        states.append(env.unwrapped.privileged_state())
    return states


def test_mass_is_sphere_plus_box_at_density_one():
    env = gymnasium.make("safe_o2o/PointGoal1-v0", cameras=())
    env.reset(seed=0)
    model = env.unwrapped._scene.model
    mass = model.body_subtreemass[model.body("agent").id]
    assert mass == pytest.approx(4 / 3 * np.pi * 0.1**3 + 0.1**3, rel=1e-9)
    assert mass == pytest.approx(0.0051888, abs=1e-7)


def test_full_thrust_reaches_1_50_m_s_with_time_constant_0_52_s():
    speed = np.array([s.velocity[0] for s in drive([1, 0], 500)])
    assert speed[-1] == pytest.approx(1.50, abs=0.001)
    # First-order lag: v(t) = v_top (1 - exp(-t / tau)); 26 control steps are 0.52 s.
    assert speed[25] == pytest.approx(1.50 * (1 - np.exp(-1)), abs=0.005)


def test_thrust_saturates_at_0_05():
    assert drive([0.05, 0], 50)[-1].position[0] == pytest.approx(drive([1, 0], 50)[-1].position[0], rel=1e-6)
    assert drive([0.025, 0], 50)[-1].position[0] == pytest.approx(
        drive([1, 0], 50)[-1].position[0] / 2, rel=1e-3
    )


def test_thrust_acts_along_the_heading():
    state = drive([1, 0], 100, yaw=np.pi / 2)[-1]
    assert state.velocity[1] > 1.4
    # Not exact: the turn servo alternates about zero, which shakes robot and heading a little.
    assert abs(state.velocity[0]) < 0.02
    assert state.yaw == pytest.approx(np.pi / 2, abs=0.005)


def test_every_start_heading_gives_the_same_motion_turned():
    # Turning at full torque: below it the servo's alternation amplifies round-off.
    action = [0.04, 1.0]
    straight = drive(action, 200)
    for yaw in (1.0, 4.0):
        turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
        turned = drive(action, 200, yaw=yaw)
        for a, b in zip(straight[::20], turned[::20], strict=True):
            assert b.position == pytest.approx(turn @ a.position, abs=1e-6)
            assert b.velocity == pytest.approx(turn @ a.velocity, abs=1e-6)
            assert b.yaw_rate == pytest.approx(a.yaw_rate, abs=1e-6)


@pytest.mark.parametrize(("turn", "mean"), [(0.25, 0.65), (0.5, 1.34), (0.75, 2.25), (1.0, 3.0)])
def test_turn_servo_reaches_the_mean_rate(turn, mean):
    yaw = np.unwrap([s.yaw for s in drive([0, turn], 900)])
    assert (yaw[-1] - yaw[99]) / (800 * 0.02) == pytest.approx(mean, abs=0.02)


def test_turn_left_is_positive():
    assert drive([0, -0.5], 20)[-1].yaw < 0 < drive([0, 0.5], 20)[-1].yaw


def test_vase_stays_where_it_is_placed_until_pushed():
    env = gymnasium.make("safe_o2o/PointGoal1-v0", cameras=(), action_repeat=1)
    env.reset(seed=0, options={"layout": {**EMPTY, "vases": [[0.6, 0.0]], "vases_yaw": [0.0]}})
    for _ in range(25):
        env.step(np.zeros(2, np.float32))
    assert env.unwrapped.privileged_state().vases[0] == pytest.approx([0.6, 0.0], abs=1e-5)
    for _ in range(60):
        env.step(np.array([1, 0], np.float32))
    assert env.unwrapped.privileged_state().vases[0, 0] > 0.7
