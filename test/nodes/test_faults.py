"""The fault matrix: one driving graph, every fault of support/fault_table.py, its end state and its name."""

import math
import signal
import time
from array import array
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from support import fault_table
from support.fault_table import ANSWERS, BRAKES
from support.probe import probing, running
from support.tiny_bundle import STATE, write_tiny_bundle

from safe_o2o_ros.graph import DeployOptions, deployment
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.conversions import to_image
from safe_o2o_ros.robot import ROOM_BASE
from safe_o2o_ros.types import BRAKE_REASONS, Latent

HUGE = 1e30
IN_A_ROW = 5
"""States that must agree."""
HOUR_NS = 3600 * 10**9
PARAMETERS = """
/**/safety_filter_node:
  ros__parameters: {state_every_tick: true, use_e_stop: true}
"""


class Robot:
    """The driving graph, what it says, and a hand to disturb it with."""

    def __init__(self, probe, guest, nodes):
        """`guest`: another participant, since in one a topic has one type."""
        self.probe, self.guest, self.nodes = probe, guest, nodes
        self.visitors = []
        node = probe.node
        self.pipeline = qos.pipeline(lockstep=False)
        self.commands = probe.listen(TwistStamped, "cmd_vel", qos.series(False))
        self.states, self.statuses = [], []
        node.create_subscription(DiagnosticArray, "safety/state", self._on_state, qos.series(False))
        node.create_subscription(DiagnosticArray, "diagnostics", self._on_diagnostics, qos.series(False))
        self._set = node.create_client(SetParameters, "sim_node/set_parameters")
        self._clear = node.create_client(Trigger, "sim_node/clear_faults")
        self.e_stop = node.create_publisher(Bool, "e_stop", self.pipeline)
        self.disturb = None
        """Called fifty times a second, with the count of its calls."""
        self.pressed = False
        """What the e-stop says; None: nothing."""
        self.count = 0
        node.create_timer(0.02, self._on_timer)

    def _on_state(self, message):
        (status,) = message.status
        values = {v.key: v.value for v in status.values}
        self.states.append((conversions.from_state(message)[0], values))

    def _on_diagnostics(self, message):
        self.statuses += [
            (s.name, s.level, s.message, {v.key: v.value for v in s.values}) for s in message.status
        ]

    def _on_timer(self):
        if self.pressed is not None:
            self.e_stop.publish(Bool(data=self.pressed))
        if self.disturb is not None:
            self.count += 1
            self.disturb(self.count)

    def ask(self, client, request):
        self.probe.until(client.service_is_ready, f"service {client.srv_name}")
        future = client.call_async(request)
        self.probe.until(future.done, f"the answer of {client.srv_name}")
        return future.result()

    def simulate(self, faults):
        if faults:
            parameters = [Parameter(f"fault.{n}", value=v).to_parameter_msg() for n, v in faults.items()]
            results = self.ask(self._set, SetParameters.Request(parameters=parameters)).results
            assert all(result.successful for result in results), results

    def until_driving(self):
        """Until some answers in a row follow the policy."""

        def drives():
            last = self.states[-IN_A_ROW:]
            return len(last) == IN_A_ROW and all(d.reason.value == "pass" for d, _ in last)

        self.states.clear()
        self.probe.until(drives, "the robot to drive")

    def end(self):
        """The fault is over."""
        self.disturb, self.pressed, self.count = None, False, 0
        while self.visitors:
            self.visitors.pop()()
        for process in self.nodes.values():
            process.send_signal(signal.SIGCONT)
        self.ask(self._clear, Trigger.Request())

    # What is published while a fault lasts. Each returns a function of the count of its calls.

    def publisher(self, kind, topic, profile=None):
        """A publisher that leaves the graph with its fault."""
        publisher = self.guest.node.create_publisher(kind, topic, profile or self.pipeline)
        self.visitors.append(lambda: self.guest.node.destroy_publisher(publisher))
        return publisher.publish

    def garbled_images(self):
        publish = self.publisher(Image, "front/image_raw", qos.images(False))

        def send(count):
            message = to_image(np.zeros((64, 64, 3), np.uint8), time.time_ns(), "front_optical_frame")
            if count % 3 == 0:
                message.data = message.data[:100]
            elif count % 3 == 1:
                message.width = message.height = message.step = 0
                message.data = array("B")
            else:
                message.encoding = "magic"
            publish(message)

        return send

    def _frames(self, height, width, stamp_ns):
        """Both cameras, once per period."""
        publishers = {
            n: self.publisher(Image, f"{n}/image_raw", qos.images(False)) for n in ("front", "back")
        }
        pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)

        def send(count):
            if count % 5 == 0:
                at = stamp_ns(count // 5)
                for name, publish in publishers.items():
                    publish(to_image(pixels, at, f"{name}_optical_frame"))

        return send

    def large_images(self):
        return self._frames(48, 80, lambda count: time.time_ns())

    def jumping_images(self):
        # Five frames in the right time, five an hour in the past, and so on.
        return self._frames(64, 64, lambda count: time.time_ns() - (count // 5 % 2) * HOUR_NS)

    def _latents(self, value, size=STATE, version="tiny-1"):
        publish = self.publisher(Image, "latent")
        feature = np.full(size, value, np.float32)

        def send(count):
            stamp_ns = self.states[-1][0].stamp_ns + 1 if self.states else 1
            publish(conversions.to_latent_image(Latent(stamp_ns, version, feature, 0.0)))

        return send

    def foreign_latents(self):
        return self._latents(0.1, version="other")

    def short_latents(self):
        return self._latents(0.1, size=STATE // 2)

    def nan_latents(self):
        return self._latents(math.nan)

    def huge_latents(self):
        return self._latents(HUGE)

    def _stamped(self, topic, linear, angular):
        publish = self.publisher(TwistStamped, topic)

        def send(count):
            message = TwistStamped()
            if self.states:
                message.header.stamp = conversions.to_time(self.states[-1][0].stamp_ns + count % 2)
            message.twist.linear.x, message.twist.angular.z = linear, angular
            publish(message)

        return send

    def nan_nominals(self):
        return self._stamped("cmd_vel_nominal", 0.1, math.nan)

    def huge_nominals(self):
        # With a latent of the same stamp, or it would never be the one that is answered.
        latent, nominal = self.publisher(Image, "latent"), self.publisher(TwistStamped, "cmd_vel_nominal")

        def send(count):
            stamp_ns, message = time.time_ns(), TwistStamped()
            message.header.stamp = conversions.to_time(stamp_ns)
            message.twist.linear.x, message.twist.angular.z = HUGE, -HUGE
            nominal(message)
            feature = np.zeros(STATE, np.float32)
            latent(conversions.to_latent_image(Latent(stamp_ns, "tiny-1", feature, 0.0)))

        return send

    def nan_executed(self):
        return self._stamped("executed_cmd", math.nan, math.inf)

    def huge_executed(self):
        return self._stamped("executed_cmd", HUGE, HUGE)

    def _odometry(self, speed):
        publish = self.publisher(Odometry, "odom")

        def send(count):
            message = Odometry()
            message.header.stamp = conversions.to_time(time.time_ns())
            message.header.frame_id, message.child_frame_id = "odom", "base_link"
            message.twist.twist.linear.x = speed
            publish(message)

        return send

    def nan_odometry(self):
        return self._odometry(math.nan)

    def huge_odometry(self):
        return self._odometry(HUGE)

    def deaf_base(self):
        base = self.guest.node.create_subscription(Twist, "cmd_vel", lambda message: None, self.pipeline)
        self.visitors.append(lambda: self.guest.node.destroy_subscription(base))

    def second_driver(self):
        publish = self.publisher(TwistStamped, "cmd_vel")
        return lambda count: publish(TwistStamped()) if count == 1 else None

    def _operator(self, linear, angular):
        publish = self.publisher(Twist, "cmd_vel_teleop")

        def send(count):
            message = Twist()
            message.linear.x, message.angular.z = linear, angular
            publish(message)

        return send

    def nan_operator(self):
        return self._operator(0.1, math.nan)

    def huge_operator(self):
        return self._operator(HUGE, -HUGE)

    def stamped_operator(self):
        publish = self.publisher(TwistStamped, "cmd_vel_teleop")

        def send(count):
            message = TwistStamped()
            message.header.stamp = conversions.to_time(time.time_ns())
            message.twist.linear.x, message.twist.angular.z = 0.1, 0.5
            publish(message)

        return send

    def flapping_e_stop(self):
        def send(count):
            self.pressed = count // 3 % 2 == 0

        return send

    def silent_e_stop(self):
        self.pressed = None


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    # Everything is certified: what brakes is the fault.
    write_tiny_bundle(folder / "tiny", task="RoomNav", risk_threshold=1.0)
    (folder / "parameters.yaml").write_text(PARAMETERS)
    options = DeployOptions(
        sim=True,
        task="RoomNav",
        bundle=str(folder / "tiny"),
        params_file=str(folder / "parameters.yaml"),
        seed=40_000,
        enable_stamped_cmd_vel=True,
        use_monitor=False,
    )
    names = ("sim_node", "encoder_node", "policy_node", "safety_filter_node")
    with probing() as probe, probing("guest") as guest, running(deployment(options), *names) as nodes:
        robot = Robot(probe, guest, {name: nodes.process(name) for name in names})
        robot.until_driving()
        yield robot


@pytest.fixture
def robot(graph):
    """A robot that drives; the test leaves it so."""
    graph.commands.clear()
    graph.statuses.clear()
    yield graph
    graph.end()


@pytest.mark.parametrize("fault", [pytest.param(f, id=f"{g}: {f.name}") for g, f in fault_table.ALL])
def test_a_fault_ends_as_the_table_says_and_names_its_cause(robot, fault):
    robot.simulate(fault.simulate)
    if fault.send:
        robot.disturb = getattr(robot, fault.send)()
    if fault.halt:
        robot.nodes[fault.halt].send_signal(signal.SIGSTOP)
    robot.states.clear()
    try:
        robot.probe.until(
            lambda: shows(robot, fault), f"the end state '{fault.end}' and its name: {fault.named}"
        )
    except AssertionError as error:
        raise AssertionError(f"{error}; last answers: {last(robot)}") from None
    assert_within_limits(robot.commands)
    robot.end()
    robot.until_driving()
    assert_within_limits(robot.commands)
    assert {name: p.poll() for name, p in robot.nodes.items()} == dict.fromkeys(robot.nodes)


def test_the_page_of_faults_is_the_tables():
    page = Path(__file__).parents[2] / "docs" / "faults.md"
    written = page.read_text(encoding="utf-8") == fault_table.page()
    assert written, "run python test/support/fault_table.py > docs/faults.md"


def shows(robot, fault):
    """The end state is reached and the cause is named where the table says."""
    return ended(robot, fault.end) and told(robot, fault) and reported(robot, fault)


def ended(robot, end):
    recent = [d for d, _ in robot.states[-IN_A_ROW:]]
    if len(recent) < IN_A_ROW:
        return False
    if end == BRAKES:
        still = robot.commands and is_zero(robot.commands[-1])
        # One that flaps must not let a single command through once it has stopped the robot.
        return bool(still) and all(d.reason in BRAKE_REASONS for d in recent)
    return end == ANSWERS or not any(d.reason in BRAKE_REASONS for d in recent)


def told(robot, fault):
    for decision, values in robot.states:
        right = not fault.reason or (decision.reason.value, decision.late_input) == (
            fault.reason,
            fault.late_input,
        )
        if right and all(words in values.get(key, "") for key, words in fault.state.items()):
            return True
    return False


def reported(robot, fault):
    if not fault.status:
        return True
    for name, level, message, values in robot.statuses:
        if name != fault.status or fault.words not in message:
            continue
        counted = all(int(values[key]) > 0 for key in fault.counts)
        if counted and (level != DiagnosticStatus.OK or not fault.words):
            return True
    return False


def last(robot):
    return [(d.reason.value, d.late_input, values) for d, values in robot.states[-2:]]


def is_zero(command):
    return command.twist.linear.x == 0.0 and command.twist.angular.z == 0.0


def assert_within_limits(commands):
    assert commands
    twists = np.array([(c.twist.linear.x, c.twist.angular.z) for c in commands])
    assert np.isfinite(twists).all()
    assert (np.abs(twists) <= np.array(ROOM_BASE.top_speed) + 1e-6).all()
