import math
from dataclasses import replace

import numpy as np
import pytest
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.nodes import conversions, filter_messages
from safe_o2o_ros.nodes.image_messages import to_camera_info
from safe_o2o_ros.perception.camera_model import ideal
from safe_o2o_ros.robot import POINT, ROOM_BASE
from safe_o2o_ros.types import Decision, Latent, Mode, Reason, Source

STAMP_NS = 1_700_000_000_123_456_789


def test_stamps_survive_to_the_nanosecond():
    assert conversions.from_time(conversions.to_time(STAMP_NS)) == STAMP_NS


def test_a_latent_comes_back_bit_for_bit_with_its_version():
    feature = np.random.default_rng(1).normal(size=7).astype(np.float32)
    back = conversions.from_latent_image(conversions.to_latent_image(Latent(STAMP_NS, "v7", feature, 0.5)))
    assert (back.stamp_ns, back.version) == (STAMP_NS, "v7")
    assert np.array_equal(back.feature, feature)
    assert math.isnan(back.surprise)


def test_a_camera_image_is_no_latent():
    pixels = np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(FrameError, match="32FC1"):
        conversions.from_latent_image(conversions.to_image(pixels, 0, ""))


def test_every_float32_action_survives_the_twist():
    rng = np.random.default_rng(2)
    for raw in rng.uniform(-1.0, 1.0, (200, 2)).astype(np.float32):
        message = conversions.to_twist_stamped(raw, STAMP_NS, POINT)
        assert np.array_equal(conversions.from_twist(message.twist, POINT), raw)
        assert np.array_equal(conversions.to_proposal(message, POINT).action, raw)


def test_full_scale_is_the_robots_top_speed_in_base_link():
    message = conversions.to_twist_stamped(np.array([1.0, -0.5], np.float32), 0, POINT)
    assert message.header.frame_id == "base_link"
    assert (message.twist.linear.x, message.twist.angular.z) == (1.5, -1.5)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("part", ["linear.x", "angular.z", "linear.z"])
def test_a_twist_with_any_number_that_is_none_is_nan_altogether(part, value):
    twist = Twist()
    vector, axis = part.split(".")
    setattr(getattr(twist, vector), axis, value)
    assert np.isnan(conversions.from_twist(twist, POINT)).all()


def test_beyond_full_scale_a_velocity_base_keeps_the_curvature():
    twist = Twist()
    twist.linear.x, twist.angular.z = 0.92, 1.9  # twice and once the top speed
    assert conversions.from_twist(twist, ROOM_BASE).tolist() == [1.0, 0.5]
    twist.linear.x, twist.angular.z = 3.0, 3.0
    assert conversions.from_twist(twist, POINT).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("huge", [1e30, 1e308, -1e308])
def test_a_huge_command_is_bounded(huge):
    twist = Twist()
    twist.linear.x, twist.angular.z = huge, 0.1
    for adapter in (POINT, ROOM_BASE):
        action = conversions.from_twist(twist, adapter)
        assert np.isfinite(action).all()
        assert np.abs(action).max() <= 1.0


def test_the_filters_answer_comes_back_from_its_state_message():
    action = np.array([0.1, -0.7], np.float32)
    decision = Decision(STAMP_NS, action, True, Reason.SUBSTITUTE, "", 0.25, 0.5, 51, "v1")
    back, mode = conversions.from_state(conversions.to_state(decision, Mode.FILTER, "point"))
    assert mode is Mode.FILTER
    assert np.array_equal(back.action, action)
    assert (back.stamp_ns, back.changed, back.reason, back.late_input) == (
        STAMP_NS,
        True,
        Reason.SUBSTITUTE,
        "",
    )
    assert (back.value, back.threshold, back.candidates, back.version) == (0.25, 0.5, 51, "v1")


def test_the_state_tells_who_asked_for_what_and_a_nan_in_it_is_json():
    wish = np.array([0.5, math.nan], np.float32)
    decision = Decision(
        1,
        POINT.zero(),
        False,
        Reason.OPERATOR,
        "",
        math.nan,
        math.nan,
        0,
        "",
        Source.OPERATOR,
        wish,
        None,
        "odom",
    )
    message = conversions.to_state(decision, Mode.FILTER, "point", {"enabled": "true"})
    values = {v.key: v.value for v in message.status[0].values}
    assert (values["nominal"], values["enabled"]) == ("[0.5, null]", "true")
    back, _ = conversions.from_state(message)
    assert (back.source, back.speed_source) == (Source.OPERATOR, "odom")
    assert np.array_equal(back.nominal, wish, equal_nan=True)


def test_bad_wiring_is_a_warning_also_while_it_drives():
    decision = Decision(1, POINT.zero(), False, Reason.PASS, "", 0.5, 0.5, 51, "v1")
    assert conversions.to_state(decision, Mode.FILTER, "point").status[0].level == b"\x00"
    warned = conversions.to_state(decision, Mode.FILTER, "point", {"wiring": "x also publishes cmd_vel"})
    assert warned.status[0].level == b"\x01"


def test_the_scores_become_an_image_of_one_row_per_command():
    scores = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]], np.float32)
    decision = Decision(
        STAMP_NS, scores[0, :2], False, Reason.PASS, "", 0.5, 0.5, 2, "v1", Source.POLICY, None, scores
    )
    image = filter_messages.to_candidates_image(decision)
    assert (image.height, image.width, image.encoding, image.header.frame_id) == (2, 3, "32FC1", "v1")
    assert conversions.from_time(image.header.stamp) == STAMP_NS
    assert np.array_equal(np.frombuffer(image.data, "<f4").reshape(2, 3), scores)


def test_odometry_becomes_the_speed_of_each_channel_in_the_channels_direction():
    message = Odometry(child_frame_id="base_footprint")
    message.twist.twist.linear.x, message.twist.twist.angular.z = 0.25, -0.5
    assert filter_messages.from_odometry(message, POINT, "base_link").tolist() == [0.25, -0.5]
    mirrored = replace(POINT, scale=(-1.5, 3.0))
    assert filter_messages.from_odometry(message, mirrored, "base_link").tolist() == [-0.25, -0.5]


def test_odometry_in_another_frame_is_refused():
    message = Odometry(child_frame_id="odom")
    with pytest.raises(FrameError, match="set base_frame_id"):
        filter_messages.from_odometry(message, POINT, "base_link")


def test_a_brake_is_an_error_that_names_the_late_input():
    decision = Decision(1, POINT.zero(), True, Reason.STALE, "latent", math.nan, math.nan, 0, "v1")
    status = conversions.to_state(decision, Mode.FILTER, "point").status[0]
    assert (status.name, status.level, status.message) == ("safety_filter", b"\x02", "stale")
    assert {v.key: v.value for v in status.values}["late_input"] == "latent"


def test_a_camera_of_90_degrees_has_half_its_height_as_focal_length():
    info = to_camera_info(ideal(64, 64, 90.0), 64, 64, 0, "front_optical_frame")
    assert info.k.tolist() == pytest.approx([32.0, 0.0, 32.0, 0.0, 32.0, 32.0, 0.0, 0.0, 1.0])
