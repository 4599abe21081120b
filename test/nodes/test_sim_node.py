"""The simulator as a robot among others: simulated time, frames, ends of episodes."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import String
from support.probe import probing, running

from safe_o2o_ros.graph import PACKAGE, Graph, NodeSpec
from safe_o2o_ros.nodes import conversions, qos

PERIOD_NS = 80_000_000


def simulator(**parameters):
    """A graph of one simulator."""
    spec = NodeSpec("sim_node", PACKAGE, "sim_node", {"task": "PointGoal1", "seed": 40_000, **parameters})
    return Graph((spec,), "", None, "info", {})


def stamp(message):
    return conversions.from_time(message.header.stamp)


def test_in_real_time_the_clock_runs_with_the_simulation_and_the_stamps_follow_it():
    graph = simulator(publish_clock=True, use_sim_time=True, base_frame_id="r1/base_link", max_periods=12)
    with probing() as probe, running(graph):
        clock = probe.listen(Clock, "/clock", qos.series(False))
        odom = probe.listen(Odometry, "odom", qos.series(False))
        infos = probe.listen(CameraInfo, "front/camera_info", qos.images(False))
        events = probe.listen(String, "episode", qos.facts())
        diagnostics = probe.listen(DiagnosticArray, "diagnostics", qos.plots())
        probe.until(lambda: diagnostics and len(odom) > 15 and infos, "the simulated robot")
        probe.until(lambda: {"timeout", "start"} <= {e.data for e in events}, "the end of an episode")
        values = {v.key: float(v.value) for v in diagnostics[-1].status[0].values}

        times = [conversions.from_time(c.clock) for c in clock]
        assert times == sorted(times)
        # It also runs between the frames, for the timers of others.
        assert any(t % PERIOD_NS for t in times)
        stamps = [stamp(m) for m in odom]
        assert all(s % PERIOD_NS == 0 for s in stamps)
        assert {b - a for a, b in pairwise(stamps)} == {PERIOD_NS}
        assert 0.0 < values["rtf"] < 1.5
        assert odom[0].header.frame_id == "odom"
        assert odom[0].child_frame_id == "r1/base_link"
        assert infos[0].header.frame_id == "r1/front_optical_frame"
        # 90 degrees over 64 pixels: 32 / tan(45 degrees).
        assert abs(infos[0].k[0] - 32.0) < 1e-9


def test_without_simulated_time_the_stamps_are_the_clock_on_the_wall():
    with probing() as probe, running(simulator(cameras=[""])):
        odom = probe.listen(Odometry, "odom", qos.series(False))
        probe.until(lambda: bool(odom), "odometry")
        age_ns = probe.node.get_clock().now().nanoseconds - stamp(odom[-1])
        assert abs(age_ns) < 60e9
        assert probe.node.count_publishers("/clock") == 0


def test_simulated_time_without_its_source_is_refused_in_one_sentence():
    arguments = ["-p", "use_sim_time:=true"]
    run = subprocess.run(
        [sys.executable, "-m", "safe_o2o_ros.nodes.sim_node", "--ros-args", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 2
    assert run.stderr.strip().startswith("error: ")
    assert "set publish_clock to true" in run.stderr
    assert "Traceback" not in run.stderr
