"""Predicted paths against circles and lines worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from safe_o2o_ros.monitor.prediction import HORIZON_S, predict
from safe_o2o_ros.robot import CAR, POINT, RobotAdapter

INSTANT = RobotAdapter(
    name="instant",
    action_names=("linear.x", "angular.z"),
    action_units=("m/s", "rad/s"),
    scale=(0.5, 2.0),
    saturation=(1.0, 1.0),
    brake="velocity",
    top_speed=(0.5, 2.0),
    time_constant_s=(0.0, 0.0),
    max_accel=(math.inf, math.inf),
    max_decel=(math.inf, math.inf),
)


def end(raw: list[float], adapter: RobotAdapter = INSTANT, speed: list[float] | None = None) -> np.ndarray:
    start = None if speed is None else np.asarray(speed)
    return predict(np.array([raw], np.float32), adapter, start)[0, -1]


def test_full_speed_ahead_is_a_straight_line_of_speed_times_time() -> None:
    path = predict(np.array([[1.0, 0.0]], np.float32), INSTANT, None, steps=3)[0]
    assert path == pytest.approx(np.array([[0.0, 0.0], [0.25, 0.0], [0.5, 0.0], [0.75, 0.0]]))


def test_a_turn_to_the_left_is_an_arc_of_radius_v_over_w() -> None:
    # v = 0.5 m/s and w = 1 rad/s: a circle of radius 0.5 m about (0, 0.5), 1.5 rad of it.
    x, y = end([1.0, 0.5])
    assert (x, y) == pytest.approx((0.5 * math.sin(1.5), 0.5 * (1.0 - math.cos(1.5))), abs=1e-3)


def test_a_channel_of_negative_scale_goes_the_other_way() -> None:
    mirrored = replace(INSTANT, scale=(0.5, -2.0))
    x, y = end([1.0, 0.5], mirrored)
    assert (x, y) == pytest.approx((0.5 * math.sin(1.5), -0.5 * (1.0 - math.cos(1.5))), abs=1e-3)


def test_both_wheels_drive_straight_and_wheels_against_each_other_turn_on_the_spot() -> None:
    # Saturated at 0.02: 0.79 m/s for 1.5 s less the lag's 0.06 s.
    assert end([0.02, 0.02], CAR, [0.0, 0.0, 0.0]) == pytest.approx((0.79 * (1.5 - 0.06), 0.0), abs=0.02)
    assert end([0.02, -0.02], CAR) == pytest.approx((0.0, 0.0), abs=1e-9)


def test_one_wheel_alone_drives_the_arc_of_half_of_both_speeds() -> None:
    # v = 0.395 m/s and w = 0.675 rad/s to the left, as the twist has it: 1.0125 rad of a circle of 0.585 m.
    assert CAR.to_twist(np.array([1.0, 0.0], np.float32))["angular.z"] > 0.0
    radius, angle = 0.395 / 0.675, 0.675 * 1.5
    expected = (radius * math.sin(angle), radius * (1.0 - math.cos(angle)))
    assert end([1.0, 0.0], CAR) == pytest.approx(expected, abs=2e-3)


def test_turning_on_the_spot_goes_nowhere() -> None:
    assert end([0.0, 1.0]) == pytest.approx((0.0, 0.0))


def test_a_lagging_robot_coasts_on_by_speed_times_time_constant() -> None:
    # POINT without thrust from 1 m/s: tau (1 - exp(-T / tau)) metres.
    tau = POINT.time_constant_s[0]
    x, y = end([0.0, 0.0], POINT, [1.0, 0.0, 0.0])
    assert x == pytest.approx(tau * (1.0 - math.exp(-HORIZON_S / tau)), abs=0.02)
    assert y == 0.0


def test_thrust_beyond_saturation_leads_no_further() -> None:
    assert end([0.05, 0.0], POINT, [0.0, 0.0, 0.0]) == pytest.approx(end([1.0, 0.0], POINT, [0.0, 0.0, 0.0]))


def test_a_limited_base_needs_its_acceleration_to_get_going() -> None:
    # 1 m/s^2 of speed (2 effective units/s x 0.5 m/s): 0.5 s and 0.125 m to top speed, then 1 s of 0.5 m/s.
    slow = replace(INSTANT, max_accel=(2.0, 4.0))
    assert end([1.0, 0.0], slow, [0.0, 0.0, 0.0])[0] == pytest.approx(0.625, abs=0.01)


def test_braking_uses_the_deceleration_and_not_the_acceleration() -> None:
    # From 0.5 m/s at 0.5 m/s^2: 1 s and 0.25 m, then it stands.
    base = replace(INSTANT, max_accel=(100.0, 100.0), max_decel=(1.0, 1.0))
    assert end([0.0, 0.0], base, [0.5, 0.0, 0.0])[0] == pytest.approx(0.25, abs=0.01)


def test_a_nan_action_gives_a_nan_path_and_leaves_its_neighbours_alone() -> None:
    paths = predict(np.array([[math.nan, 0.0], [1.0, 0.0]], np.float32), INSTANT, None)
    assert not np.isfinite(paths[0, -1]).all()
    assert paths[1, -1] == pytest.approx((0.75, 0.0))
