"""Speed estimate, acceleration limits and brake, by hand and for every command."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.filters import PERIOD_S, WHEELED

from safe_o2o_ros.robot import POINT, RobotAdapter
from safe_o2o_ros.safety.limits import Limits, SpeedEstimate, brake_action

HEAVY = replace(POINT, name="heavy", max_accel=(1.0, 2.0), max_decel=(2.5, 5.0))
ADAPTERS = st.sampled_from([POINT, WHEELED, HEAVY])
ACTION = st.tuples(st.floats(-1.0, 1.0, width=32), st.floats(-1.0, 1.0, width=32)).map(
    lambda a: np.array(a, np.float32)
)
DURATION = st.floats(1e-3, 1.0)


def test_speed_follows_the_first_order_lag_by_hand() -> None:
    estimate = SpeedEstimate(POINT)
    estimate.advance(np.array([0.05, 0.5], np.float32), 0.08)
    # 1.5 (1 - exp(-0.08 / 0.52)) = 0.2139 m/s, 1.5 (1 - exp(-0.08 / 0.1)) = 0.8260 rad/s
    np.testing.assert_allclose(estimate.speed, [0.21389, 0.82601], atol=1e-5)
    estimate.advance(np.zeros(2, np.float32), 0.52)
    # one time constant of coasting: 0.21389 / e
    assert estimate.speed[0] == pytest.approx(0.07869, abs=1e-5)
    estimate.reset()
    assert estimate.speed.tolist() == [0.0, 0.0]


def test_without_lag_the_command_is_the_speed() -> None:
    estimate = SpeedEstimate(WHEELED)
    estimate.advance(np.array([0.5, -1.0], np.float32), 0.001)
    assert estimate.speed.tolist() == [0.25, -1.0]


def test_a_saturated_command_moves_no_faster_than_full_scale() -> None:
    mild, wild = SpeedEstimate(POINT), SpeedEstimate(POINT)
    mild.advance(np.array([0.05, 0.0], np.float32), 0.3)
    wild.advance(np.array([1.0, 0.0], np.float32), 0.3)
    assert mild.speed[0] == wild.speed[0]


@given(st.lists(st.tuples(ACTION, DURATION), max_size=8))
def test_the_estimate_stays_within_top_speed(history: list[tuple[np.ndarray, float]]) -> None:
    estimate = SpeedEstimate(POINT)
    for action, duration in history:
        estimate.advance(action, duration)
    assert (np.abs(estimate.speed) <= np.asarray(POINT.top_speed) + 1e-6).all()


@pytest.mark.parametrize(
    ("speed", "effective"),
    [
        # -v exp(-dt/tau) / (top (1 - exp(-dt/tau))), exp(-0.08 / 0.52) = 0.857404
        (0.15, -0.60128),
        (-0.15, 0.60128),
        (1.5, -1.0),  # more than the base can: full thrust
        (0.014, 0.0),  # below 1 % of top speed it counts as standing
        (0.0, 0.0),
    ],
)
def test_brake_thrust_of_the_point_by_hand(speed: float, effective: float) -> None:
    raw = brake_action(POINT, np.array([speed, 2.0]), 0.08)
    np.testing.assert_allclose(raw, [0.05 * effective, 0.0], atol=1e-6)


def test_a_velocity_base_brakes_with_zero() -> None:
    assert brake_action(WHEELED, np.array([0.5, 1.0]), 0.08).tolist() == [0.0, 0.0]


def test_a_base_without_lag_brakes_with_zero_whatever_it_is_called() -> None:
    adapter = replace(POINT, time_constant_s=(0.0, 0.0))
    assert brake_action(adapter, np.array([1.0, 0.0]), 0.08).tolist() == [0.0, 0.0]


@given(st.floats(-1.5, 1.5), st.floats(0.01, 0.5))
def test_the_brake_never_reverses_and_stops_within_the_physical_time(speed: float, dt_s: float) -> None:
    estimate = SpeedEstimate(POINT)
    estimate.speed[0] = speed
    # From 1.5 m/s under full counter-thrust: 0.52 s ln 2 = 0.36 s, then one period for the rest.
    for _ in range(int(0.361 / dt_s) + 2):
        before = estimate.speed[0]
        estimate.advance(brake_action(POINT, estimate.speed, dt_s), dt_s)
        assert abs(estimate.speed[0]) <= abs(before)
        assert estimate.speed[0] * before >= 0.0 or abs(estimate.speed[0]) < 1e-6
    assert abs(estimate.speed[0]) <= 0.01 * 1.5


def test_the_box_grows_by_acceleration_and_shrinks_by_deceleration() -> None:
    low, high = Limits(WHEELED).box(np.array([0.5, -0.5], np.float32), 0.08)
    np.testing.assert_allclose(low, [0.3, -0.66], atol=1e-6)  # 0.5 - 2.5 * 0.08, -0.5 - 2 * 0.08
    np.testing.assert_allclose(high, [0.58, -0.1], atol=1e-6)  # 0.5 + 1 * 0.08, -0.5 + 5 * 0.08


def test_beyond_zero_only_the_acceleration_counts() -> None:
    low, high = Limits(WHEELED).box(np.array([0.1, 0.0], np.float32), 0.08)
    # Braking reaches 0.1 - 0.2 = -0.1, but no more than 1.0 * 0.08 may be gained the other way.
    np.testing.assert_allclose([low[0], high[0]], [-0.08, 0.18], atol=1e-6)
    np.testing.assert_allclose([low[1], high[1]], [-0.16, 0.16], atol=1e-6)


def test_an_unlimited_base_may_do_anything_in_the_unit_box() -> None:
    low, high = Limits(POINT).box(np.array([1.0, -1.0], np.float32), 0.08)
    assert low.tolist() == [-1.0, -1.0] and high.tolist() == [1.0, 1.0]


@given(ADAPTERS, ACTION, ACTION)
def test_a_clipped_command_is_reachable_and_clipping_it_again_changes_no_bit(
    adapter: RobotAdapter, raw: np.ndarray, last: np.ndarray
) -> None:
    limits = Limits(adapter)
    once = limits.clip(raw, limits.box(last, PERIOD_S))
    low, high = limits.box(last, PERIOD_S)
    effective = adapter.effective(once)
    assert (effective >= low - 1e-6).all() and (effective <= high + 1e-6).all()
    assert once.dtype == np.float32 and np.array_equal(limits.clip(once, limits.box(last, PERIOD_S)), once)


@given(ADAPTERS, ACTION, ACTION)
def test_a_reachable_command_is_kept_bit_for_bit(
    adapter: RobotAdapter, raw: np.ndarray, last: np.ndarray
) -> None:
    limits = Limits(adapter)
    low, high = limits.box(last, PERIOD_S)
    effective = adapter.effective(raw)
    if ((effective >= low) & (effective <= high)).all():
        assert np.array_equal(limits.clip(raw, limits.box(last, PERIOD_S)), raw)


@given(ADAPTERS, ACTION)
def test_standing_still_is_reached_by_repeated_clipping(adapter: RobotAdapter, last: np.ndarray) -> None:
    limits = Limits(adapter)
    for _ in range(6):  # 1 / (2.5 / s * 0.08 s) = 5 periods
        last = limits.clip(adapter.zero(), limits.box(last, PERIOD_S))
    assert np.abs(last).max() <= 1e-6
