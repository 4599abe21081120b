"""The safety filter's process alone: this test is its encoder, its policy and its base."""

import math
import signal

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool, Trigger
from support.probe import probing, running
from support.tiny_bundle import STATE, write_tiny_bundle

from safe_o2o_ros.graph import DeployOptions, deployment
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.robot import POINT
from safe_o2o_ros.types import Latent, Reason

PERIOD_NS = 80_000_000
AHEAD = np.array([0.03, 0.5], np.float32)


class Robot:
    """Publishes what the filter reads, records what it writes."""

    def __init__(self, probe):
        self.probe = probe
        pipeline = qos.pipeline(lockstep=False)
        self.latents = probe.node.create_publisher(Image, "latent", pipeline)
        self.nominals = probe.node.create_publisher(TwistStamped, "cmd_vel_nominal", pipeline)
        self.commands = probe.listen(TwistStamped, "cmd_vel", qos.series(False))
        self.executed = probe.listen(TwistStamped, "executed_cmd", qos.series(False))
        self.states = probe.listen(DiagnosticArray, "safety/state", qos.series(False))
        self.stamp_ns = 0

    def meet(self):
        publishers = (self.latents, self.nominals)
        self.probe.until(lambda: all(p.get_subscription_count() for p in publishers), "the filter")
        self.probe.until(lambda: self.states, "the filter's first state")

    def send(self, action=AHEAD, version="tiny-1"):
        """Send one latent and proposal."""
        self.stamp_ns += PERIOD_NS
        self.latents.publish(
            conversions.to_latent_image(Latent(self.stamp_ns, version, np.zeros(STATE, np.float32), 0.0))
        )
        self.nominals.publish(conversions.to_twist_stamped(action, self.stamp_ns, POINT))

    def ask(self, action=AHEAD):
        """Send one latent and proposal; returns the decision that answers them."""
        self.send(action)
        return self.state(lambda d: d.stamp_ns == self.stamp_ns and d.reason is not Reason.STALE)

    def ask_until(self, reason, **asked):
        """Send latents and proposals until an answer has this reason; returns it."""
        answer = None
        while answer is None or answer.reason.value != reason:
            self.send(**asked)
            answer = self.state(lambda d: True)
        return answer

    def state(self, condition):
        """The first decision from now on that fulfils `condition`."""
        seen = len(self.states)
        found = []

        def look():
            found.extend(
                d for m in self.states[seen:] for d in [conversions.from_state(m)[0]] if condition(d)
            )
            return bool(found)

        self.probe.until(look, "a state")
        return found[0]


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
        robot = Robot(probe)
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
