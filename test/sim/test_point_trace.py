"""The Point's turn servo and thrust follow traces of the original, recorded with MuJoCo 2.3.3 and 4.0.0."""

import gymnasium
import numpy as np
import pytest

import safe_o2o_ros.sim  # noqa: F401

# x and y in m, turn in rad, every tenth control step, from rest in the origin: 60 steps of (0.05, 1), then
# 40 of (-0.05, -1). Torque and thrust are saturated, and both releases agree to 1e-5.
TRACE = (
    (0.05281, 0.00078, 0.58342),
    (0.16992, 0.05697, 1.18125),
    (0.28529, 0.18706, 1.77727),
    (0.34176, 0.37163, 2.37192),
    (0.30816, 0.56443, 2.96586),
    (0.188, 0.71103, 3.55964),
    (0.11516, 0.79494, 2.98753),
    (0.15177, 0.83663, 2.38529),
    (0.23904, 0.80385, 1.78288),
    (0.31514, 0.69583, 1.17955),
)

# Turn in rad every fortieth control step at a1 = 0.5, where the servo alternates about its mean; the two
# releases differ by up to 0.01 rad.
SERVO = (1.07423, 2.16165, 3.23291, 4.31767, 5.39984)


def drive(actions):
    """x, y, turn after each control step in an empty arena, shape (steps, 3)."""
    env = gymnasium.make("safe_o2o/PointGoal1-v0", cameras=(), action_repeat=1)
    layout = {"agent": [0, 0, 0], "goals": [[50.0, 50.0]], "hazards": [], "vases": []}
    env.reset(seed=0, options={"layout": layout})
    rows = []
    for action in actions:
        env.step(np.array(action, np.float64))
        state = env.unwrapped.privileged_state()
        rows.append([*state.position, state.yaw])
    trace = np.array(rows)
    trace[:, 2] = np.unwrap(trace[:, 2])
    return trace


def test_saturated_thrust_and_turn_follow_the_originals_trace():
    trace = drive([(0.05, 1.0)] * 60 + [(-0.05, -1.0)] * 40)[9::10]
    assert trace == pytest.approx(np.array(TRACE), abs=2e-5)


def test_the_alternating_servo_follows_the_originals_trace_in_the_mean():
    assert drive([(0.0, 0.5)] * 200)[39::40, 2] == pytest.approx(np.array(SERVO), abs=0.03)
