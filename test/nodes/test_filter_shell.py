"""The filter's process and the people around it: operator, e-stop, modes, odometry, wiring."""

import math
import subprocess
import sys

import numpy as np
import pytest
from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger
from support.fake_robot import FakeRobot
from support.probe import probing, running
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.graph import DeployOptions, deployment
from safe_o2o_ros.nodes import conversions, qos

NODE = "safety_filter_node"
PIPELINE = qos.pipeline(lockstep=False)


def parameters_file(folder, **values):
    lines = [f"    {name}: {value}" for name, value in values.items()]
    path = folder / "parameters.yaml"
    path.write_text("\n".join([f"/**/{NODE}:", "  ros__parameters:", "    state_every_tick: true", *lines]))
    return str(path)


@pytest.fixture(scope="module")
def with_bundle(tmp_path_factory):
    """One filter for all tests that need a bundle; every test leaves it as it found it."""
    folder = tmp_path_factory.mktemp("shell")
    write_tiny_bundle(folder / "tiny", risk_threshold=1.0)
    graph = deployment(
        DeployOptions(bundle=str(folder / "tiny"), params_file=parameters_file(folder), start_enabled=True)
    )
    with running(graph, NODE):
        yield


@pytest.fixture(scope="module")
def without_bundle(tmp_path_factory):
    """A filter for teleoperation on a velocity base, with an e-stop."""
    folder = tmp_path_factory.mktemp("teleop")
    given = {"use_e_stop": "true", "adapter": "room_base", "max_velocity": "[0.23, 0.0, 1.9]"}
    graph = deployment(
        DeployOptions(
            mode="limits_only",
            namespace="teleop",
            params_file=parameters_file(folder, **given),
            start_enabled=True,
            enable_stamped_cmd_vel=False,
        )
    )
    with running(graph, NODE):
        yield


@pytest.fixture(scope="module")
def robot(with_bundle):
    with probing() as probe:
        robot = FakeRobot(probe)
        robot.meet()
        yield robot


@pytest.fixture
def operator(robot):
    """A publisher of Twist that the filter hears."""
    publisher = robot.probe.node.create_publisher(Twist, "cmd_vel_teleop", PIPELINE)
    robot.probe.until(lambda: publisher.get_subscription_count() == 1, "the filter to listen")
    yield publisher
    robot.probe.node.destroy_publisher(publisher)


def values(robot):
    """Key values of the newest state."""
    return {v.key: v.value for v in robot.states[-1].status[0].values}


def set_parameter(robot, name, value):
    request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
    (result,) = robot.probe.call(SetParameters, f"{NODE}/set_parameters", request).results
    return result


def test_an_operator_goes_before_the_policy_and_gives_back_when_silent(robot, operator):
    robot.ask_until("pass")
    twist = Twist()
    twist.linear.x, twist.angular.z = 0.06, -0.6

    def driven():
        operator.publish(twist)
        return robot.ask().reason.value == "operator"

    robot.probe.until(driven, "the operator's turn")
    assert values(robot)["source"] == "operator"
    executed = robot.executed[-1]
    # Full scale of the Point's twist is 1.5 m/s and 3 rad/s.
    assert executed.twist.linear.x == pytest.approx(0.06)
    assert executed.twist.angular.z == pytest.approx(-0.6)

    twist.linear.x = math.nan

    def braked():
        operator.publish(twist)
        decision = robot.ask()
        return (decision.reason.value, decision.late_input) == ("non_finite", "cmd_vel_teleop")

    robot.probe.until(braked, "a brake that names the operator")
    robot.ask_until("pass")
    assert values(robot)["source"] == "policy"


def test_an_operator_of_the_other_type_is_heard_too(robot):
    # Another participant: in one, a topic has one type.
    with probing() as guest:
        operator = guest.node.create_publisher(TwistStamped, "cmd_vel_teleop", PIPELINE)
        guest.until(lambda: operator.get_subscription_count() == 1, "the filter to take TwistStamped")
        message = TwistStamped()

        def driven():
            message.header.stamp.nanosec += 1
            operator.publish(message)
            return robot.state(lambda d: True).reason.value == "operator"

        robot.probe.until(driven, "the operator's turn")
    robot.ask_until("pass")


def test_every_answer_carries_the_same_values_on_both_topics(robot, operator):
    robot.ask_until("pass")
    twist = Twist()
    twist.linear.x = 0.03
    operator.publish(twist)
    robot.state(lambda d: d.reason.value == "operator")
    robot.state(lambda d: d.reason.value == "stale")

    # The process may say one of two while the other is on its way; in the end they agree.
    def agree():
        pairs = list(zip(reversed(robot.commands), reversed(robot.executed), strict=False))
        return len(pairs) > 5 and all(command.twist == executed.twist for command, executed in pairs)

    robot.probe.until(agree, "both topics to agree")


def test_modes_change_by_service_and_by_parameter(robot):
    assert robot.probe.call(Trigger, f"{NODE}/set_mode/shadow", Trigger.Request()).success
    assert robot.ask_until("shadow")
    assert set_parameter(robot, "mode", "limits_only").successful
    robot.ask_until("limits_only")
    assert values(robot)["mode"] == "limits_only"
    assert "must be one of" in set_parameter(robot, "mode", "off").reason
    assert robot.probe.call(Trigger, f"{NODE}/set_mode/filter", Trigger.Request()).success
    robot.ask_until("pass")


def test_a_timeout_may_be_changed_and_is_checked(robot):
    assert "between 0.05 and 10" in set_parameter(robot, "image_timeout", 0.0).reason
    assert "read-only" in set_parameter(robot, "max_velocity", [0.1, 0.0, 0.1]).reason
    assert set_parameter(robot, "image_timeout", 10.0).successful
    robot.ask_until("pass")
    seen = len(robot.states)
    robot.probe.call(SetBool, f"{NODE}/enable", SetBool.Request(data=False))
    # Nothing comes for 2 s of its own ticks, and nothing is late.
    robot.probe.until(lambda: len(robot.states) > seen + 40, "ticks")
    assert {conversions.from_state(m)[0].reason.value for m in robot.states[seen + 1 :]} == {"disabled"}
    assert float(values(robot)["age_latent_s"]) > 0.5
    robot.probe.call(SetBool, f"{NODE}/enable", SetBool.Request(data=True))
    assert set_parameter(robot, "image_timeout", 0.5).successful
    robot.ask_until("pass")


def test_odometry_is_used_while_it_can_be_believed_and_named_when_not(robot):
    publisher = robot.probe.node.create_publisher(Odometry, "odom", qos.series(False))
    robot.probe.until(lambda: publisher.get_subscription_count() == 1, "the filter to listen")
    message = Odometry()

    def until(odom, source, speed, frame="base_link"):
        def told():
            message.header.stamp.nanosec += 1
            message.child_frame_id = frame
            # Never twice the same: what does not move at all is frozen.
            message.twist.twist.linear.x = speed * (1.0 + 1e-3 * (message.header.stamp.nanosec % 2))
            publisher.publish(message)
            robot.ask()
            told = values(robot)
            return (told["odom"], told["speed_source"]) == (odom, source)

        robot.probe.until(told, f"odometry to be {odom}")

    until("ok", "odom", 0.01)
    until("non_finite", "model", math.nan)
    until("implausible", "model", 1e30)
    until("frame", "model", 0.01, frame="odom")
    until("ok", "odom", 0.01)
    robot.probe.node.destroy_publisher(publisher)

    def stale():
        robot.ask()
        return values(robot)["odom"] == "stale"

    robot.probe.until(stale, "odometry to be stale")
    assert robot.ask_until("pass").speed_source == "model"


def test_what_bypasses_the_filter_is_named_until_it_is_gone(robot):
    with probing() as guest:
        publisher = guest.node.create_publisher(TwistStamped, "cmd_vel", PIPELINE)

        def named(part):
            robot.ask()
            return part in values(robot)["wiring"]

        robot.probe.until(lambda: named("probe also publishes /cmd_vel"), "the other publisher's name")
        assert robot.states[-1].status[0].level == b"\x01"
        guest.node.destroy_publisher(publisher)
        guest.node.create_subscription(Twist, "cmd_vel", lambda message: None, PIPELINE)
        robot.probe.until(lambda: named("set enable_stamped_cmd_vel to False"), "the deaf base's name")
    robot.probe.until(lambda: values(robot)["wiring"] == "" and robot.ask(), "silence about it")


def test_candidates_are_published_for_those_who_look(robot):
    tables = robot.probe.listen(Image, "safety/candidates", qos.plots())

    def seen():
        robot.ask()
        return bool(tables)

    robot.probe.until(seen, "candidates")
    table = tables[-1]
    rows = np.frombuffer(table.data, "<f4").reshape(table.height, table.width)
    assert (rows.shape, table.encoding, table.header.frame_id) == ((123, 3), "32FC1", "tiny-1")
    assert np.abs(rows[:, :2]).max() <= 1.0
    assert ((rows[:, 2] >= 0.0) & (rows[:, 2] <= 1.0)).all()


def test_teleoperation_without_a_bundle_waits_for_the_e_stop_and_obeys_it(without_bundle):
    with probing() as probe:
        robot = FakeRobot(probe, "teleop/", stamped=False)
        operator = probe.node.create_publisher(Twist, "teleop/cmd_vel_teleop", PIPELINE)
        e_stop = probe.node.create_publisher(Bool, "teleop/e_stop", PIPELINE)
        robot.probe.until(lambda: operator.get_subscription_count() == 1, "the filter to listen")
        robot.probe.until(lambda: e_stop.get_subscription_count() == 1, "the filter to listen")
        twist = Twist()
        twist.linear.x, twist.angular.z = 0.46, 1.9

        def until(reason, pressed=None, late_input=""):
            def told():
                operator.publish(twist)
                if pressed is not None:
                    e_stop.publish(Bool(data=pressed))
                decision = robot.state(lambda d: True)
                return (decision.reason.value, decision.late_input) == (reason, late_input)

            robot.probe.until(told, reason)

        until("e_stop", late_input="e_stop")
        assert values(robot)["e_stop"] == "silent"
        until("operator", pressed=False)

        def fast():
            e_stop.publish(Bool(data=False))
            operator.publish(twist)
            return robot.commands and robot.commands[-1].linear.x == pytest.approx(0.23)

        # Half the top speed is allowed; the turn is halved with it, which keeps the curve.
        robot.probe.until(fast, "the largest speed that is allowed")
        assert robot.commands[-1].angular.z == pytest.approx(0.95, abs=1e-6)
        until("e_stop", pressed=True)
        robot.probe.until(lambda: robot.commands[-1] == Twist(), "zero")
        until("operator", pressed=False)
        until("e_stop", late_input="e_stop")
        refusal = probe.call(Trigger, f"teleop/{NODE}/set_mode/filter", Trigger.Request())
        assert not refusal.success
        assert "needs a bundle" in refusal.message
        robot.state(lambda d: d.reason.value == "e_stop")


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ("max_decel:=[2.5, 0.0, 3.2]", "as in Nav2: write it with a minus"),
        ("max_accel:=[0.9, 0.0]", "has 2 entries, but must have 0 or 3"),
        ("max_accel:=[0.0, 0.0, 3.0]", "it could never change its speed"),
        ("adapter:=hovercraft", "there is no adapter 'hovercraft'"),
    ],
)
def test_limits_that_cannot_be_are_refused_in_one_sentence(parameter, words):
    command = [sys.executable, "-m", f"safe_o2o_ros.nodes.{NODE}", "--ros-args", "-p", parameter]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert words in run.stderr
    assert run.stderr.startswith("error: ")
    assert len(run.stderr.splitlines()) == 1
