import math

import numpy as np
import pytest
from geometry_msgs.msg import Twist

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.nodes import conversions
from safe_o2o_ros.robot import POINT
from safe_o2o_ros.types import Decision, Latent, Mode, Reason

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


def test_a_nan_in_a_twist_stays_visible():
    twist = Twist()
    twist.linear.x = math.nan
    assert np.isnan(conversions.from_twist(twist, POINT)[0])


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


def test_a_brake_is_an_error_that_names_the_late_input():
    decision = Decision(1, POINT.zero(), True, Reason.STALE, "latent", math.nan, math.nan, 0, "v1")
    status = conversions.to_state(decision, Mode.FILTER, "point").status[0]
    assert (status.name, status.level, status.message) == ("safety_filter", b"\x02", "stale")
    assert {v.key: v.value for v in status.values}["late_input"] == "latent"


def test_a_camera_of_90_degrees_has_half_its_height_as_focal_length():
    info = conversions.to_camera_info(64, 64, 90.0, 0, "front_optical_frame")
    assert info.k.tolist() == pytest.approx([32.0, 0.0, 32.0, 0.0, 32.0, 32.0, 0.0, 0.0, 1.0])
