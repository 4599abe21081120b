"""Two robots in one ROS graph, each in its namespace."""

import signal

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from std_srvs.srv import SetBool
from support.probe import probing, running
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.graph import DeployOptions, deployment
from safe_o2o_ros.nodes import conversions, qos


class Robot:
    """What one robot says."""

    def __init__(self, probe, name):
        self.name = name
        self.commands = probe.listen(TwistStamped, f"{name}/cmd_vel", qos.series(False))
        self.odometry = probe.listen(Odometry, f"{name}/odom", qos.series(False))
        self._states = probe.listen(DiagnosticArray, f"{name}/safety/state", qos.series(False))

    def reports(self, reason, since=0):
        return any(conversions.from_state(m)[0].reason.value == reason for m in self._states[since:])

    def mark(self):
        return len(self._states)

    def stands(self):
        twist = self.odometry[-1].twist.twist
        zero = self.commands[-1].twist.linear.x == 0.0
        return zero and float(np.hypot(twist.linear.x, twist.linear.y)) < 0.02


@pytest.fixture
def robots(tmp_path):
    write_tiny_bundle(tmp_path / "tiny", risk_threshold=1.0)
    graphs = [
        deployment(
            DeployOptions(
                sim=True, bundle=str(tmp_path / "tiny"), namespace=name, seed=seed, use_monitor=False
            )
        )
        for name, seed in (("r1", 40_000), ("r2", 40_001))
    ]
    with probing() as probe, running(graphs[0]) as first, running(graphs[1]):
        yield probe, first, Robot(probe, "r1"), Robot(probe, "r2")


def test_two_robots_share_a_graph_and_nothing_else(robots):
    probe, nodes, first, second = robots
    for robot in (first, second):
        probe.until(lambda robot=robot: robot.reports("pass") and robot.odometry, f"driving of {robot.name}")
    for name in ("r1", "r2"):
        topic = f"/{name}/cmd_vel"
        senders = probe.node.get_publishers_info_by_topic(topic)
        listeners = probe.node.get_subscriptions_info_by_topic(topic)
        assert [(p.node_namespace, p.node_name) for p in senders] == [(f"/{name}", "safety_filter_node")]
        assert sorted((s.node_namespace, s.node_name) for s in listeners) == [
            ("/", "probe"),
            (f"/{name}", "sim_node"),
        ]

    # What is asked of one does not reach the other.
    probe.call(SetBool, "r1/safety_filter_node/enable", SetBool.Request(data=False))
    probe.until(first.stands, "a standing first robot")
    since, sent = second.mark(), len(second.commands)
    probe.until(
        lambda: len(second.commands) > sent + 5 and second.reports("pass", since), "the second's drive"
    )
    assert not second.reports("disabled")
    probe.call(SetBool, "r1/safety_filter_node/enable", SetBool.Request(data=True))
    since = first.mark()
    probe.until(lambda: first.reports("pass", since), "the first's drive")

    nodes.end("encoder_node", signal.SIGKILL)
    probe.until(lambda: first.reports("stale") and first.stands(), "a first robot that misses its encoder")
    since, sent = second.mark(), len(second.commands)
    probe.until(
        lambda: len(second.commands) > sent + 5 and second.reports("pass", since), "the second's drive"
    )
    assert not second.reports("stale")
