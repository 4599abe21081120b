"""The simulated base, its pace and its frames, without processes, by hand-computed numbers."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from geometry_msgs.msg import Twist
from rclpy.qos import DurabilityPolicy

from safe_o2o_ros.nodes import sim_transforms
from safe_o2o_ros.nodes.sim_base import SimBase
from safe_o2o_ros.nodes.sim_frames import (
    Frames,
    Motion,
    camera_transforms,
    odom_transform,
    odometry,
    quaternion,
)
from safe_o2o_ros.nodes.sim_pace import Pace
from safe_o2o_ros.perception.views import optical_axes
from safe_o2o_ros.robot import POINT, ROOM_BASE
from safe_o2o_ros.sim.robots import POINT_ROBOT

MS = 1_000_000


def twist(forward, turn=0.0, left=0.0):
    message = Twist()
    message.linear.x, message.linear.y, message.angular.z = float(forward), float(left), float(turn)
    return message


def rotated(quaternion, vector):
    """A vector of the child frame in the parent frame."""
    q = np.array([quaternion.x, quaternion.y, quaternion.z])
    return vector + 2.0 * np.cross(q, np.cross(q, vector) + quaternion.w * np.asarray(vector))


class TestFrames:
    def test_the_front_camera_looks_forward_and_22_degrees_down_with_its_right_side_on_the_right(self):
        front, back = camera_transforms(POINT_ROBOT.cameras, Frames(), 7)
        assert (front.header.frame_id, front.child_frame_id) == ("base_link", "front_optical_frame")
        assert (front.header.stamp.sec, front.header.stamp.nanosec) == (0, 7)
        at, turned = front.transform.translation, front.transform.rotation
        assert (at.x, at.y, at.z) == (0.0, 0.0, 0.15)
        view = rotated(turned, [0.0, 0.0, 1.0])
        # (1, 0, -0.4) normalised: 21.8 degrees below the horizon.
        assert view == pytest.approx([0.92848, 0.0, -0.37139], abs=1e-5)
        assert math.degrees(math.asin(-view[2])) == pytest.approx(21.801, abs=1e-3)
        assert rotated(turned, [1.0, 0.0, 0.0]) == pytest.approx([0.0, -1.0, 0.0], abs=1e-12)
        assert rotated(turned, [0.0, 1.0, 0.0]) == pytest.approx([-0.37139, 0.0, -0.92848], abs=1e-5)
        assert back.child_frame_id == "back_optical_frame"
        assert rotated(back.transform.rotation, [0.0, 0.0, 1.0]) == pytest.approx([-1.0, 0.0, 0.0], abs=1e-12)
        assert rotated(back.transform.rotation, [0.0, 1.0, 0.0]) == pytest.approx([0.0, 0.0, -1.0], abs=1e-12)

    def test_axes_that_are_neither_of_unit_length_nor_square_are_made_so_as_the_simulator_does(self):
        axes = optical_axes((0, -2, 0, 0, 1, 3))
        assert axes @ [0.0, 1.0, 0.0] == pytest.approx([0.0, 0.0, -1.0])
        assert axes @ axes.T == pytest.approx(np.eye(3))

    @pytest.mark.parametrize("turn", [0.0, 1.0, math.pi, -2.5])
    def test_a_quaternion_turns_as_its_matrix(self, turn):
        matrix = np.array(
            [[math.cos(turn), 0, math.sin(turn)], [0, 1, 0], [-math.sin(turn), 0, math.cos(turn)]]
        )
        found = quaternion(matrix)
        assert found.w >= 0.0
        for vector in np.eye(3):
            assert rotated(found, vector) == pytest.approx(matrix @ vector, abs=1e-9)

    def test_odometry_and_transform_tell_the_same_pose_and_the_twist_is_in_the_base(self):
        motion = Motion(x=1.0, y=-2.0, z=0.1, yaw=math.pi / 2, forward=0.3, left=-0.1, yaw_rate=0.5)
        frames = Frames("r1/odom", "r1/base_link")
        message, transform = odometry(motion, frames, 1_500_000_000), odom_transform(motion, frames, 1)
        assert (message.header.frame_id, message.child_frame_id) == ("r1/odom", "r1/base_link")
        assert (transform.header.frame_id, transform.child_frame_id) == ("r1/odom", "r1/base_link")
        assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1, 500_000_000)
        assert message.pose.pose.orientation == transform.transform.rotation
        assert message.pose.pose.orientation.z == pytest.approx(math.sqrt(0.5))
        at, moved = message.pose.pose.position, transform.transform.translation
        assert (at.x, at.y, at.z) == (moved.x, moved.y, moved.z) == (1.0, -2.0, 0.1)
        speed = message.twist.twist
        assert (speed.linear.x, speed.linear.y, speed.angular.z) == (0.3, -0.1, 0.5)

    def test_the_prefix_of_the_base_is_also_the_cameras(self):
        assert Frames(base="r1/base_link").camera("front") == "r1/front_optical_frame"


class TestTransforms:
    """tf2_msgs is not among the wheels: a stand-in for it, and for the node it would be sent by."""

    def sent(self, monkeypatch, message):
        sent = {}

        class Publisher:
            def __init__(self, topic, profile):
                self.topic, self.profile = topic, profile

            def publish(self, message):
                sent.setdefault(self.topic, []).append((message, self.profile))

        node = SimpleNamespace(
            create_publisher=lambda kind, topic, profile: Publisher(topic, profile),
            get_clock=lambda: SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=5)),
            get_logger=lambda: SimpleNamespace(info=lambda text: sent.setdefault("log", []).append(text)),
        )
        monkeypatch.setattr(sim_transforms, "TFMessage", message)
        transforms = sim_transforms.SimTransforms(node, Frames(), POINT_ROBOT.cameras)
        transforms.send(Motion(1.0, 2.0, 0.1, 0.0, 0.0, 0.0, 0.0), 9)
        return sent

    def test_cameras_are_latched_once_and_the_base_is_sent_with_every_frame(self, monkeypatch):
        sent = self.sent(monkeypatch, lambda transforms: transforms)
        ((fixed, profile),) = sent["/tf_static"]
        assert [t.child_frame_id for t in fixed] == ["front_optical_frame", "back_optical_frame"]
        assert profile.durability is DurabilityPolicy.TRANSIENT_LOCAL
        (((moving,), _),) = sent["/tf"]
        assert (moving.header.frame_id, moving.child_frame_id) == ("odom", "base_link")
        assert (moving.header.stamp.nanosec, moving.transform.translation.y) == (9, 2.0)

    def test_where_the_message_does_not_exist_one_line_says_so(self, monkeypatch):
        sent = self.sent(monkeypatch, None)
        assert list(sent) == ["log"] and "tf2_msgs is not installed" in sent["log"][0]


class TestBase:
    def base(self, adapter=ROOM_BASE):
        return SimBase(adapter, period_s=0.1, timeout_s=0.5)

    def test_the_newest_command_is_obeyed_until_it_is_half_a_second_old(self):
        base = self.base()
        base.take(twist(0.23, -0.95), 1.0)
        assert base.drive(1.5).tolist() == pytest.approx([0.5, -0.5])
        assert base.drive(1.501).tolist() == [0.0, 0.0]

    def test_without_a_command_it_stands(self):
        assert self.base().drive(0.0).tolist() == [0.0, 0.0]

    def test_a_coasting_base_brakes_against_its_motion(self):
        base = self.base(POINT)
        base.take(twist(1.5), 0.0)
        for tick in range(5):
            assert base.drive(0.1 * tick)[0] == 1.0
        assert base.drive(1.0)[0] < 0.0

    @pytest.mark.parametrize(
        "bad", [twist(math.nan), twist(0.1, math.inf), twist(0.1, left=math.nan), twist(1e9), twist(0, 20.0)]
    )
    def test_a_bad_command_brakes_and_counts_and_the_next_good_one_drives_on(self, bad):
        base = self.base()
        base.take(twist(0.46), 1.0)
        base.take(bad, 1.1)
        assert base.drive(1.1).tolist() == [0.0, 0.0]
        assert base.bad_commands == 1
        base.take(twist(0.46), 1.2)
        assert base.drive(1.2).tolist() == [1.0, 0.0]

    def test_a_wish_beyond_full_scale_is_taken_as_full_scale(self):
        base = self.base()
        base.take(twist(1.0), 1.0)
        assert base.drive(1.0).tolist() == [1.0, 0.0]
        assert base.bad_commands == 0

    def test_a_late_command_takes_force_and_ages_from_its_arrival(self):
        base = self.base()
        base.take(twist(0.46), 1.0)
        assert base.drive(1.2, 0.3).tolist() == [0.0, 0.0]
        assert base.drive(1.3, 0.3).tolist() == [1.0, 0.0]
        assert base.drive(1.75, 0.3).tolist() == [1.0, 0.0]
        assert base.drive(1.85, 0.3).tolist() == [0.0, 0.0]

    def test_a_new_episode_knows_no_old_command(self):
        base = self.base()
        base.take(twist(0.46), 1.0)
        base.reset()
        assert base.drive(1.0).tolist() == [0.0, 0.0]


class TestPace:
    def paced(self, *ticks_ms):
        pace = Pace(100 * MS, 0)
        for at in ticks_ms:
            pace.tick(at * MS)
        return pace

    def test_ticks_in_time_are_real_time(self):
        pace = self.paced(100, 200, 310, 400)
        assert pace.rtf == pytest.approx(1.0)
        assert (pace.late, pace.skipped, pace.worst_ns) == (0, 0, 10 * MS)
        assert not pace.slow

    def test_a_late_tick_counts_and_does_not_shift_the_next_ones(self):
        pace = self.paced(100, 250, 300)
        assert (pace.late, pace.skipped, pace.worst_ns) == (1, 0, 50 * MS)

    def test_a_stall_skips_periods_and_lowers_the_factor(self):
        # The tick of 200 comes at 450: those of 300 and 400 are left out.
        pace = self.paced(100, 450, 500)
        assert (pace.late, pace.skipped, pace.worst_ns) == (1, 2, 250 * MS)
        assert pace.rtf == pytest.approx(0.6)
        assert pace.slow

    def test_the_factor_forgets_a_stall_after_a_while(self):
        pace = self.paced(*range(1000, 20_000, 100))
        assert pace.skipped == 9
        assert pace.rtf == pytest.approx(1.0)
        assert not pace.slow

    def test_before_the_first_tick_nothing_is_late(self):
        assert self.paced().rtf == 1.0
