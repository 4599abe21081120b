"""The Car: moves as in the published benchmark (numbers measured on the original), sees ahead and behind."""

import dataclasses
import json
import math

import gymnasium
import numpy as np
import pytest
from support.tiny_bundle import write_tiny_bundle

import safe_o2o_ros.sim  # noqa: F401
from safe_o2o_ros.manifest import MANIFEST_NAME, read_manifest
from safe_o2o_ros.robot import CAR

EMPTY = {"agent": [0, 0, 0], "goals": [[50.0, 50.0]], "hazards": [], "vases": []}
FULL = [0.02, 0.02]


def make(cameras=(), **layout):
    env = gymnasium.make("safe_o2o/CarGoal2-v0", cameras=cameras, action_repeat=1)
    observation, _ = env.reset(seed=0, options={"layout": {**EMPTY, **layout}})
    return env, observation


def drive(env, action, steps):
    """States after each of `steps` control steps of a constant action."""
    states = []
    for _ in range(steps):
        env.step(np.array(action, np.float32))
        states.append(env.unwrapped.privileged_state())
    return states


def test_mass_is_that_of_the_benchmarks_parts():
    model = make()[0].unwrapped._scene.model
    assert model.body_subtreemass[model.body("agent").id] == pytest.approx(0.030445, abs=1e-6)


def test_forward_is_the_bodys_negative_y():
    env, _ = make()
    assert env.unwrapped.privileged_state().yaw == pytest.approx(-math.pi / 2)
    end = drive(env, FULL, 20)[-1]
    assert end.position[1] < -0.4
    assert abs(end.position[0]) < 0.05


def test_both_wheels_drive_forward_at_0_79_m_s():
    # The mean over headings: caster and wheels slip in turn, which shakes the speed.
    speeds = []
    for yaw in (0.5, 1.0, 2.0, 3.0, 4.0):
        states = drive(make(agent=[0, 0, yaw])[0], FULL, 100)
        speeds.append(math.dist(states[99].position, states[9].position) / (90 * 0.04))
    assert np.mean(speeds) == pytest.approx(0.79, abs=0.01)


def test_left_wheel_forward_and_right_wheel_back_turn_left_at_1_35_rad_s():
    yaw = np.unwrap([s.yaw for s in drive(make()[0], [0.02, -0.02], 500)])
    assert (yaw[-1] - yaw[24]) / (475 * 0.04) == pytest.approx(1.35, abs=0.03)


def test_torque_saturates_at_0_02():
    strong, weak = drive(make()[0], [1, 1], 25)[-1], drive(make()[0], FULL, 25)[-1]
    assert strong.position == pytest.approx(weak.position, abs=1e-4)
    half = drive(make()[0], [0.01, 0.01], 25)[-1]
    assert np.hypot(*half.velocity) < 0.6 * np.hypot(*weak.velocity)


def test_without_torque_it_stands_within_a_fifth_of_a_second():
    env, _ = make()
    drive(env, FULL, 40)
    assert np.hypot(*drive(env, [0, 0], 5)[-1].velocity) < 0.05 * 0.79


# Forward, left in m and turn in rad from the start, every tenth control step, of the original
# (MuJoCo 2.3.3 and 4.0.0 agree to 1e-5 from this start).
START = [0.05857620471278968, 0.2582272396469034, 4.974555126607196]
PLAN = (([0.02, 0.02], 40), ([0.02, -0.02], 40), ([-1, -1], 20), ([0.02, 0.01], 40), ([0, 0], 10))
TRACE = (
    (0.23893, -0.0006, 0.01329),
    (0.55838, 0.00738, 0.03115),
    (0.87493, 0.01776, 0.03552),
    (1.18198, 0.02819, 0.04126),
    (1.24334, 0.04978, 0.41176),
    (1.22621, 0.07122, 0.95376),
    (1.2141, 0.06121, 1.48865),
    (1.18937, 0.03911, 1.98712),
    (1.23183, -0.0544, 2.03988),
    (1.32367, -0.23987, 2.01841),
    (1.29523, -0.17753, 2.01072),
    (1.20342, -0.0258, 2.11094),
    (1.09551, 0.11402, 2.2216),
    (0.96519, 0.24438, 2.353),
    (0.94837, 0.25947, 2.37342),
)


def test_wheels_follow_the_originals_trace():
    env, _ = make(agent=START)
    start = env.unwrapped.privileged_state()
    states = [state for action, steps in PLAN for state in drive(env, action, steps)]
    yaw = np.unwrap([start.yaw, *(s.yaw for s in states)]) - start.yaw
    cos, sin = math.cos(start.yaw), math.sin(start.yaw)
    for i, (forward, left, turn) in enumerate(TRACE):
        dx, dy = states[10 * i + 9].position - start.position
        assert cos * dx + sin * dy == pytest.approx(forward, abs=1e-3)
        assert cos * dy - sin * dx == pytest.approx(left, abs=1e-3)
        assert yaw[10 * i + 10] == pytest.approx(turn, abs=1e-3)


def test_a_control_step_is_0_04_s():
    unwrapped = make()[0].unwrapped
    assert unwrapped.period_s == pytest.approx(0.04)
    assert unwrapped.privileged_state().control_step_s == pytest.approx(0.04)


def test_front_camera_sees_what_lies_in_the_direction_of_driving_and_the_back_camera_what_lies_behind():
    def cyan(image):
        r, g, b = (image[..., c].astype(int) for c in range(3))
        return ((np.abs(g - b) < 20) & (g > r + 60)).mean()

    ahead = make(("front", "back"), vases=[[0.0, -0.8]])[1]
    assert cyan(ahead["front"]) > 0.01 > cyan(ahead["back"]) == 0
    left = make(("front", "back"), vases=[[0.4, -0.8]])[1]
    assert cyan(left["front"][:, :32]) > 0.01 > cyan(left["front"][:, 32:]) == 0
    behind = make(("front", "back"), vases=[[0.0, 0.8]])[1]
    assert cyan(behind["back"]) > 0.01 > cyan(behind["front"]) == 0


def test_its_own_front_is_in_the_front_picture():
    front = make(("front",))[1]["front"][48:].reshape(-1, 3).astype(int)
    assert (front[:, 2] > front[:, 0] + 50).mean() > 0.05


def test_a_twist_drives_it_as_its_fields_say():
    assert CAR.from_twist({"linear.x": 0.395, "angular.z": 0.0}).tolist() == [0.5, 0.5]
    assert CAR.from_twist({"linear.x": 0.0, "angular.z": 0.675}).tolist() == [0.5, -0.5]
    assert CAR.from_twist({"linear.x": 0.79, "angular.z": 1.35}).tolist() == [1.0, 0.0]
    assert CAR.to_twist(np.array([1.0, 0.5], np.float32)) == {
        "linear.x": 0.79 * 0.75,
        "angular.z": 1.35 * 0.25,
    }
    assert np.isnan(CAR.from_twist({"linear.x": math.nan, "angular.z": 0.0})).all()


def test_its_twist_carries_an_action_bit_for_bit():
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (2000, 2)) * 10.0 ** rng.uniform(-6, 0, (2000, 2))
    actions[np.abs(actions) < 2.0**-25] = 0.0
    actions[:200, 0] = 0.0
    actions[100:300, 1] = 1.0
    for raw in actions.astype(np.float32):
        assert np.array_equal(CAR.from_twist(CAR.to_twist(raw)), raw)


def test_a_manifest_keeps_that_its_channels_are_wheels(tmp_path):
    manifest = dataclasses.replace(write_tiny_bundle(tmp_path), adapter=CAR)
    (tmp_path / MANIFEST_NAME).write_text(manifest.to_json())
    assert read_manifest(tmp_path).adapter == CAR
    assert json.loads(manifest.to_json())["adapter"]["wheels"] is True
