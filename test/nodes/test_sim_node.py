"""The simulator as a robot among others: simulated time, frames, ends of episodes."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Bool, String
from support.probe import probing, running

from safe_o2o_ros.graph import PACKAGE, Graph, NodeSpec
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.sim_world import SimWorld, WorldOptions
from safe_o2o_ros.robot import ROOM_BASE
from safe_o2o_ros.sim.make import make_env

PERIOD_NS = 80_000_000


STRAIGHT, WALL_AHEAD, SCRAPES = 108, 109, 35
"""Seeds of RoomNav: goal straight ahead on a free way; something close ahead; something beside that way."""


def simulator(task="PointGoal1", **parameters):
    """A graph of one simulator."""
    spec = NodeSpec("sim_node", PACKAGE, "sim_node", {"task": task, "seed": 40_000, **parameters})
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


def towards(goal, position, yaw):
    """Raw action (2,) that turns to the goal (x, y) and drives there, blind for what stands between."""
    dx, dy = goal[0] - position[0], goal[1] - position[1]
    error = math.remainder(math.atan2(dy, dx) - yaw, math.tau)
    return np.array([float(abs(error) < 0.3), np.clip(1.5 * error, -1.0, 1.0)], np.float32)


def goal_of(seed):
    """Where RoomNav puts the goal."""
    env = make_env("RoomNav", 1, (), None)
    goal = env.reset(seed=seed)[1]["goal"]
    env.close()
    return goal


def test_a_velocity_base_drives_to_its_goal_by_cmd_vel_and_its_bumper_tells_contact():
    goal = goal_of(STRAIGHT)
    assert WALL_AHEAD == STRAIGHT + 1
    with probing() as probe, running(simulator("RoomNav", seed=STRAIGHT)):
        events = probe.listen(String, "episode", qos.facts())
        bumps = probe.listen(Bool, "bumper", qos.series(False))
        command = probe.node.create_publisher(TwistStamped, "cmd_vel", qos.pipeline(False))

        def drive(odom):
            position, turned = odom.pose.pose.position, odom.pose.pose.orientation
            if "success" in [e.data for e in events]:
                raw = np.array([1.0, 0.0], np.float32)
            else:
                yaw = 2.0 * math.atan2(turned.z, turned.w)
                raw = towards(goal, (position.x, position.y), yaw)
            command.publish(conversions.to_twist_stamped(raw, 0, ROOM_BASE))
            assert abs(odom.twist.twist.linear.x) < 0.47

        probe.node.create_subscription(Odometry, "odom", drive, qos.series(False))
        probe.until(lambda: "success" in [e.data for e in events], "the goal")
        assert bumps and not any(b.data for b in bumps)
        probe.until(lambda: bumps[-1].data, "contact with what stands ahead in the next room")
        assert [e.data for e in events] == ["start", "success", "start"]


@pytest.mark.parametrize(
    ("seed", "max_periods", "ending"),
    [(STRAIGHT, 0, "success"), (SCRAPES, 0, "failure"), (SCRAPES, 5, "timeout")],
)
def test_an_episode_ends_by_success_by_a_goal_reached_with_contact_or_by_time(seed, max_periods, ending):
    world = SimWorld(WorldOptions("RoomNav", (), 0, None, seed, max_periods, record=False, top_size=0))
    world.start_episode()
    outcomes = [world.step(world.adapter.zero())]
    while not outcomes[-1].ending:
        state = world.state()
        outcomes.append(world.step(towards(state.goal, state.position, state.yaw)))
    world.close()
    assert world.period_s == 0.1
    assert outcomes[-1].ending == ending
    assert any(o.contact for o in outcomes) == (ending == "failure")


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
