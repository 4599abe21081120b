"""Faults of the simulated robot, seen on the wire: one real sim_node, switched while it runs."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger
from support.probe import probing, running

from safe_o2o_ros.graph import PACKAGE, Graph, NodeSpec
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.robot import POINT
from safe_o2o_ros.sim.faults import blurred, shifted

PERIOD_NS = 80_000_000


def stamp(message):
    return conversions.from_time(message.header.stamp)


def pixels(message):
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)


class Robot:
    """The running simulator, what it says, and how to make it fail."""

    def __init__(self, probe, process):
        self.probe, self.process = probe, process

        self.odom = probe.listen(Odometry, "odom", qos.series(False))
        self.front = probe.listen(Image, "front/image_raw", qos.images(False))
        self.back = probe.listen(Image, "back/image_raw", qos.images(False))
        self.infos = probe.listen(CameraInfo, "front/camera_info", qos.images(False))
        self.diagnostics = probe.listen(DiagnosticArray, "diagnostics", qos.plots())
        self.lags = []
        """Of every front image: newest odometry's stamp minus the image's, when it came, ns."""
        probe.node.create_subscription(Image, "front/image_raw", self._on_front, qos.images(False))
        self._command = probe.node.create_publisher(TwistStamped, "cmd_vel", qos.pipeline(False))
        self.action = (0.0, 0.0)
        probe.node.create_timer(0.05, self._drive)

    def _on_front(self, message):
        if self.odom:
            self.lags.append(stamp(self.odom[-1]) - stamp(message))

    def _drive(self):
        raw = np.array(self.action, np.float32)
        self._command.publish(conversions.to_twist_stamped(raw, 0, POINT))

    def wait(self, received, more=3):
        """Await `more` new messages; returns them."""
        since = len(received)
        self.probe.until(lambda: len(received) >= since + more, f"{more} messages")
        return received[since : since + more]

    def speed(self):
        """The newest that odometry tells, m/s."""
        twist = self.odom[-1].twist.twist
        return float(np.hypot(twist.linear.x, twist.linear.y))

    def set(self, **faults):
        """Set fault parameters; returns the node's refusal, "" if it took them."""
        parameters = [Parameter(f"fault.{n}", value=v).to_parameter_msg() for n, v in faults.items()]
        request = SetParameters.Request(parameters=parameters)
        results = self.probe.call(SetParameters, "sim_node/set_parameters", request).results
        return "; ".join(r.reason or "refused" for r in results if not r.successful)

    def fail(self, **faults):
        """Set faults that must be taken, and let what was on its way before arrive."""
        assert self.set(**faults) == ""
        self.wait(self.odom, 2)

    def clear(self):
        """End all faults; returns what the service says."""
        answer = self.probe.call(Trigger, "sim_node/clear_faults", Trigger.Request())
        assert answer.success
        return answer.message

    def health(self):
        """The newest status of sim_node: message and values."""
        self.wait(self.diagnostics, 1)
        (status,) = self.diagnostics[-1].status
        assert status.name == "sim_node"
        return status.message, {v.key: v.value for v in status.values}


@pytest.fixture(scope="module")
def simulator():
    spec = NodeSpec("sim_node", PACKAGE, "sim_node", {"task": "PointGoal1", "seed": 40_000})
    with probing() as probe, running(Graph((spec,), "", None, "info", {})) as nodes:
        robot = Robot(probe, nodes.process("sim_node"))
        probe.until(lambda: robot.odom and robot.front and robot.back, "the simulated robot")
        yield robot


@pytest.fixture
def robot(simulator):
    """The robot turns on the spot, so that every picture differs; faults end with the test."""
    simulator.action = (0.0, 0.5)
    yield simulator
    simulator.clear()


def test_a_dropped_camera_goes_silent_while_the_rest_goes_on(robot):
    robot.fail(camera="front", camera_drop=1.0)
    images, infos, backs = len(robot.front), len(robot.infos), len(robot.back)
    robot.wait(robot.odom, 4)
    assert (len(robot.front), len(robot.infos)) == (images, infos)
    assert len(robot.back) > backs
    assert "camera_drop" in robot.clear()
    robot.wait(robot.front)


def test_a_stuck_sensor_repeats_its_picture_under_new_stamps(robot):
    before = robot.wait(robot.front)
    assert not np.array_equal(pixels(before[0]), pixels(before[2]))
    robot.fail(camera_freeze="pixels")
    frames = robot.wait(robot.front)
    assert len({bytes(frame.data) for frame in frames}) == 1
    assert stamp(frames[0]) < stamp(frames[1]) < stamp(frames[2])


def test_a_dead_driver_repeats_its_message_with_its_stamp(robot):
    robot.fail(camera_freeze="message")
    frames, backs = robot.wait(robot.front), robot.back[-2:]
    assert len({(stamp(frame), bytes(frame.data)) for frame in [*frames, robot.front[-1]]}) == 1
    assert stamp(backs[0]) == stamp(frames[0])
    assert stamp(robot.infos[-1]) == stamp(frames[0])
    assert stamp(robot.odom[-1]) > stamp(frames[0])


def test_blur_and_offset_change_the_picture_as_computed(robot):
    robot.fail(camera_freeze="pixels")
    clean = pixels(robot.wait(robot.front)[-1])
    robot.fail(camera_blur=1.5)
    assert np.array_equal(pixels(robot.wait(robot.front)[-1]), blurred(clean, 1.5))
    robot.fail(camera_blur=0.0, camera_offset=-7)
    assert np.array_equal(pixels(robot.wait(robot.front)[-1]), shifted(clean, -7))


def test_a_late_camera_delivers_the_time_of_capture_late(robot):
    robot.fail(camera="front", camera_latency=0.4)
    robot.probe.until(lambda: robot.lags[-1] > 0.4e9 - PERIOD_NS, "a late picture")
    frames = robot.wait(robot.front)
    assert stamp(frames[0]) < stamp(frames[1]) < stamp(frames[2])
    assert stamp(robot.infos[-1]) <= stamp(robot.back[-1]) - 3 * PERIOD_NS
    robot.clear()
    robot.probe.until(lambda: robot.lags[-1] < 2 * PERIOD_NS, "a picture in time")


def test_frozen_odometry_repeats_its_values_under_new_stamps(robot):
    def values(message):
        return message.pose.pose, message.twist.twist

    moving = robot.wait(robot.odom)
    assert values(moving[0]) != values(moving[2])
    robot.fail(odom_freeze=True)
    frozen = robot.wait(robot.odom)
    assert values(frozen[0]) == values(frozen[1]) == values(frozen[2])
    assert stamp(frozen[0]) < stamp(frozen[1]) < stamp(frozen[2])
    robot.clear()
    robot.probe.until(lambda: values(robot.odom[-1]) != values(frozen[0]), "odometry that moves")


def test_commands_in_a_slow_link_do_not_move_the_base_until_they_arrive(robot):
    robot.fail(action_latency=10.0)
    robot.probe.until(lambda: robot.speed() < 0.05, "a standing robot")
    robot.action = (0.05, 0.0)
    robot.wait(robot.odom, 5)
    assert robot.speed() < 0.1
    robot.clear()
    robot.probe.until(lambda: robot.speed() > 0.1, "a moving robot")


def test_a_base_that_is_held_stands_whatever_it_is_told_and_its_odometry_says_so(robot):
    robot.action = (0.05, 0.0)
    robot.probe.until(lambda: robot.speed() > 0.1, "a moving robot")
    robot.fail(base_held=True)
    robot.probe.until(lambda: robot.speed() < 0.02, "a standing robot")
    robot.wait(robot.odom, 5)
    assert robot.speed() < 0.02
    robot.clear()
    robot.probe.until(lambda: robot.speed() > 0.1, "a moving robot")


def test_the_diagnostics_name_the_faults_that_are_on_and_the_pace(robot):
    robot.fail(camera_latency=0.25, odom_freeze=True)
    text, values = robot.health()
    assert "faults on: camera_latency, odom_freeze" in text
    assert values["fault_camera_latency"] == "0.25"
    assert 0.0 < float(values["rtf"]) < 1.5
    assert float(values["worst_lateness_ms"]) >= 0.0
    assert {"late_ticks", "skipped_ticks"} < set(values)
    assert robot.clear() == "ended: camera_latency, odom_freeze"
    assert robot.clear() == "there were no faults"
    robot.wait(robot.diagnostics, 1)
    assert "fault" not in robot.health()[0]


def test_after_a_stall_the_missed_periods_are_skipped_and_the_lag_is_told(robot):
    before = int(robot.health()[1]["skipped_ticks"])
    robot.process.send_signal(signal.SIGSTOP)
    try:
        resume_s = time.monotonic() + 10 * PERIOD_NS / 1e9
        robot.probe.until(lambda: time.monotonic() > resume_s, "the stall")
    finally:
        robot.process.send_signal(signal.SIGCONT)
    robot.probe.until(lambda: int(robot.health()[1]["skipped_ticks"]) >= before + 8, "the skipped periods")
    text, values = robot.health()
    assert "of real time" in text
    assert float(values["rtf"]) < 0.95
    assert float(values["worst_lateness_ms"]) > 500.0


@pytest.mark.parametrize("bad", [float("nan"), 1e12])
def test_a_command_no_base_can_follow_is_counted_and_braked(robot, bad):
    before = int(robot.health()[1]["bad_commands"])
    robot.action = (0.05, 0.0)
    robot.probe.until(lambda: robot.odom[-1].twist.twist.linear.x > 0.2, "a moving robot")
    robot.action = (bad, 0.0)
    robot.probe.until(lambda: abs(robot.odom[-1].twist.twist.linear.x) < 0.02, "a standing robot")
    robot.probe.until(lambda: int(robot.health()[1]["bad_commands"]) > before, "the count")
    robot.action = (0.05, 0.0)
    robot.probe.until(lambda: robot.odom[-1].twist.twist.linear.x > 0.2, "a moving robot")


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({"camera": "left"}, "choose among front, back"),
        ({"camera_drop": 1.5}, "must be between 0 and 1"),
        ({"camera_drop": float("nan")}, "must be between 0 and 1"),
        ({"camera_freeze": "solid"}, "must be one of"),
        ({"action_latency": -0.1}, "must be between 0 and 10"),
        ({"odom_freeze": "yes"}, ""),
    ],
)
def test_a_fault_that_cannot_be_is_refused_with_the_reason_and_changes_nothing(robot, faults, words):
    refusal = robot.set(**faults)
    assert refusal and words in refusal
    names = [f"fault.{name}" for name in faults]
    found = robot.probe.call(
        GetParameters, "sim_node/get_parameters", GetParameters.Request(names=names)
    ).values
    assert [Parameter.from_parameter_msg(_named(v)).value for v in found] in ([""], [0.0], [False])
    assert robot.clear() == "there were no faults"


def _named(value):
    message = Parameter("any", value="").to_parameter_msg()
    message.value = value
    return message


@pytest.mark.parametrize("fault", ["camera_drop:=0.5", "camera_freeze:=message", "action_latency:=0.1"])
def test_lockstep_refuses_faults_of_timing_in_one_sentence(fault):
    given = ["lockstep:=true", "episodes:=1", "cameras:=['']", f"fault.{fault}"]
    arguments = [part for parameter in given for part in ("-p", parameter)]
    run = subprocess.run(
        [sys.executable, "-m", "safe_o2o_ros.nodes.sim_node", "--ros-args", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 2
    (sentence,) = (line for line in run.stderr.splitlines() if not line.startswith("[INFO]"))
    assert sentence.startswith(f"error: sim_node cannot have this fault: fault.{fault.split(':')[0]}")
    assert "set lockstep to false" in sentence
