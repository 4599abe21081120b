"""The safety filter's process alone: this test is its encoder, its policy and its base."""

import math
import signal

import numpy as np
import pytest
from std_srvs.srv import SetBool, Trigger
from support.fake_robot import AHEAD, FakeRobot
from support.probe import probing, running
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.graph import DeployOptions, deployment
from safe_o2o_ros.nodes import conversions


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filter")
    # Everything is certified: what is tested here is what happens around the networks.
    write_tiny_bundle(folder / "tiny", risk_threshold=1.0)
    parameters = folder / "parameters.yaml"
    parameters.write_text(
        "/**/safety_filter_node:\n  ros__parameters:\n    state_every_tick: true\n    stop_pub_timeout: 0.2\n"
    )
    return DeployOptions(bundle=str(folder / "tiny"), params_file=str(parameters), start_enabled=True)


@pytest.fixture
def robot(options):
    graph = deployment(options)
    with probing() as probe, running(graph, "safety_filter_node") as nodes:
        robot = FakeRobot(probe)
        robot.nodes = nodes
        robot.meet()
        yield robot


def test_bad_inputs_brake_with_their_reason_and_good_ones_pass(robot):
    passed = robot.ask()
    assert passed.reason.value == "pass"
    assert np.array_equal(passed.action, AHEAD)
    assert robot.ask_until("unknown_bundle", version="other").late_input == "latent"
    robot.ask_until("pass")
    broken = robot.ask(np.array([math.nan, 0.0], np.float32))
    assert (broken.reason.value, broken.late_input) == ("non_finite", "cmd_vel_nominal")
    assert np.isfinite(broken.action).all()
    robot.ask_until("pass")


def test_disabled_means_zero_motion_until_enabled_again(robot):
    robot.ask()
    response = robot.probe.call(SetBool, "safety_filter_node/enable", SetBool.Request(data=False))
    assert response.success
    answers = [robot.ask() for _ in range(20)]
    assert {a.reason.value for a in answers} == {"disabled"}
    robot.probe.call(SetBool, "safety_filter_node/enable", SetBool.Request(data=True))
    assert robot.ask().reason.value == "pass"


def test_late_inputs_brake_at_zero_then_fall_silent_then_resume(robot):
    answered = robot.ask()
    stale = robot.state(lambda d: d.reason.value == "stale")
    assert stale.late_input == "latent"
    assert stale.stamp_ns == answered.stamp_ns
    # The state goes on after the commands have ended.
    robot.probe.until(lambda: robot.commands and is_zero(robot.commands[-1]), "a zero command")
    count = [0]

    def silent():
        before, count[0] = count[0], len(robot.commands)
        seen = len(robot.states)
        robot.probe.until(lambda: len(robot.states) >= seen + 4, "four more states")
        return before == len(robot.commands)

    robot.probe.until(silent, "silence")
    assert is_zero(robot.commands[-1])
    assert robot.ask().reason.value == "pass"


def test_every_answer_goes_out_twice_with_the_same_values(robot):
    for i in range(5):
        robot.ask(np.array([0.01 * i, -0.1 * i], np.float32))
    robot.state(lambda d: d.reason.value == "stale")
    robot.probe.until(lambda: len(robot.commands) == len(robot.executed) > 5, "both copies")
    for command, executed in zip(robot.commands, robot.executed, strict=True):
        assert command.twist == executed.twist
        # Answers carry the image's stamp; what the base gets is fresh by the wall clock.
        assert conversions.from_time(executed.header.stamp) <= robot.stamp_ns
        assert conversions.from_time(command.header.stamp) > 10**18


def test_reset_forgets_the_inputs(robot):
    robot.ask()
    assert robot.probe.call(Trigger, "safety_filter_node/reset", Trigger.Request()).success
    waiting = robot.state(lambda d: d.reason.value == "waiting")
    assert waiting.late_input == "latent"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_brakes_to_zero_and_ends_with_code_0(robot, number):
    for _ in range(5):
        robot.ask(np.array([0.05, 1.0], np.float32))
    process = robot.nodes.process("safety_filter_node")
    process.send_signal(number)
    robot.probe.until(lambda: process.poll() is not None, "the end of the process")
    robot.probe.until(lambda: is_zero(robot.commands[-1]), "the last command")
    assert process.returncode == 0
    # Reverse thrust first: the estimate says the robot moves forward.
    assert any(c.twist.linear.x < 0.0 for c in robot.commands)
    assert "Traceback" not in process.stderr.read()


def is_zero(command):
    return command.twist.linear.x == 0.0 and command.twist.angular.z == 0.0
