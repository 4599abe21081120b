"""A robot that is recorded drives on, whatever happens to its recorder."""

import resource
import signal

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist, TwistStamped
from rosbags.rosbag2 import Reader
from support.probe import probing, running
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.collection import collection
from safe_o2o_ros.data.bag_types import BagTypes
from safe_o2o_ros.nodes import qos
from safe_o2o_ros.robot import POINT


class Driving:
    """A simulated robot that an operator drives, with a recorder beside it."""

    def __init__(self, probe, nodes, out):
        self.probe, self.nodes, self.out = probe, nodes, out
        self.commands = probe.listen(TwistStamped, "executed_cmd", qos.series(False))
        self.teleop = probe.node.create_publisher(Twist, "cmd_vel_teleop", qos.series(False))
        self.levels = []
        probe.node.create_subscription(DiagnosticArray, "diagnostics", self._on_status, qos.series(False))

    def _on_status(self, message):
        self.levels += [s.level[0] for s in message.status if s.name == "recorder_node"]

    def drive_until(self, condition, what):
        def driven():
            wish = Twist()
            wish.linear.x, wish.angular.z = 0.3 * POINT.scale[0], 0.2 * POINT.scale[1]
            self.teleop.publish(wish)
            return condition()

        self.probe.until(driven, what)

    def drive_on(self):
        """The operator's wish reaches the base, again and again."""
        seen = len(self.commands)
        self.drive_until(
            lambda: sum(c.twist.linear.x > 0.0 for c in self.commands[seen:]) > 20, "the robot to drive on"
        )

    def until_recorded(self, take, size):
        """A take of at least so many bytes."""
        file = self.out / take / f"{take}_0.mcap"
        self.drive_until(lambda: file.exists() and file.stat().st_size > size, f"{size} bytes of {take}")


@pytest.fixture
def driving(tmp_path):
    write_tiny_bundle(tmp_path / "tiny", risk_threshold=1.0)
    values = {"sim": "true", "bundle": str(tmp_path / "tiny"), "task": "PointGoal1", "episodes": "0"}
    graph = collection(
        {**values, "out": str(tmp_path / "takes"), "autostart": "true", "use_monitor": "false"}
    )
    with probing() as probe, running(graph) as nodes:
        yield Driving(probe, nodes, tmp_path / "takes")


def commands(take):
    """(n,) forward speeds of executed_cmd, in m/s."""
    with Reader(take) as reader:
        types = BagTypes({}, ())
        wanted = [c for c in reader.connections if c.topic == "/executed_cmd"]
        assert wanted, "no command was recorded"
        found = [types.read(data, c.msgtype).twist.linear.x for c, _, data in reader.messages(wanted)]
    return np.array(found)


def test_a_killed_recorder_and_a_full_disk_stop_no_motion(driving):
    driving.until_recorded("take_0001", 50_000)
    driving.drive_on()
    driving.nodes.end("recorder_node", signal.SIGKILL)
    driving.drive_on()
    driving.nodes.start("recorder_node")
    driving.until_recorded("take_0002", 20_000)
    # The operator's wish is in what the first recorder had written.
    assert np.isclose(commands(driving.out / "take_0001"), 0.3 * POINT.scale[0]).sum() > 5
    process = driving.nodes.process("recorder_node")
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    driving.drive_until(lambda: driving.levels[-1:] == [2], "the error")
    driving.drive_on()
    assert process.poll() is None
    code, errors = driving.nodes.end("recorder_node", signal.SIGINT)
    assert code == 0 and "free space and start again" in errors
