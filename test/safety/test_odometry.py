"""When a measured speed is believed, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.filters import WHEELED

from safe_o2o_ros.robot import POINT
from safe_o2o_ros.safety.odometry import OdometryCheck
from safe_o2o_ros.safety.speed import BaseSpeed
from safe_o2o_ros.types import FloatArray, MeasuredSpeed

FULL = np.array([0.05, 0.0], np.float32)


def speed(x: float, z: float = 0.0) -> FloatArray:
    return np.array([x, z], np.float32)


def test_a_measurement_has_an_age_and_a_time_without_change() -> None:
    check = OdometryCheck(WHEELED)
    assert check.problem(late=True) == "missing" and check.measured(False, 0.0) is None
    check.note(speed(0.1), 1.0)
    check.note(speed(0.1), 2.0)
    measured = check.measured(False, 2.5)
    assert measured is not None and (measured.age_s, measured.still_s) == (0.5, 1.5)
    check.note(speed(0.2), 3.0)
    measured = check.measured(False, 3.0)
    assert measured is not None and (measured.age_s, measured.still_s) == (0.0, 0.0)
    assert check.problem(late=True) == "stale" and check.measured(True, 3.0) is None


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (speed(math.nan), "non_finite"),
        (speed(0.0, math.inf), "non_finite"),
        (speed(1.1), "implausible"),  # top speed 0.5 m/s
        (speed(0.0, -2.1), "implausible"),  # top speed 1 rad/s
    ],
)
def test_what_cannot_be_true_is_named_until_something_better_comes_for_half_a_second(
    value: FloatArray, problem: str
) -> None:
    check = OdometryCheck(WHEELED)
    check.note(value, 0.0)
    assert check.problem(late=False) == problem and check.measured(False, 0.0) is None
    for now_s in (0.1, 0.5):  # it may be the good one of two that alternate
        check.note(speed(0.9), now_s)
        assert check.problem(late=False) == problem and check.measured(False, now_s) is None
    assert check.problem(late=False) == problem  # time alone makes nothing right
    check.note(speed(0.9), 0.6)
    assert check.problem(late=False) == ""
    check.refuse("frame", 0.7)
    assert check.problem(late=False) == "frame" and check.measured(False, 0.7) is None


def test_odometry_sets_the_model_right_and_the_command_works_on_from_there() -> None:
    base = BaseSpeed(POINT)
    base.advance(FULL, 0.08)
    assert base.source == "model" and base.value[0] == pytest.approx(0.21389, abs=1e-5)
    # Measured 0.02 s ago, after the last answer: 0.1 + (1.5 - 0.1) (1 - exp(-0.02 / 0.52)).
    base.advance(FULL, 0.08, MeasuredSpeed(speed(0.1), 0.02))
    assert base.source == "odom" and base.value[0] == pytest.approx(0.15282, abs=1e-5)
    # The same measurement again: only the command works, 0.15282 + (1.5 - 0.15282) (1 - exp(-0.08 / 0.52)).
    base.advance(FULL, 0.08, MeasuredSpeed(speed(0.1), 0.1))
    assert base.value[0] == pytest.approx(0.34492, abs=1e-5)


def test_without_odometry_the_model_is_as_if_there_had_never_been_any() -> None:
    base, twin = BaseSpeed(POINT), BaseSpeed(POINT)
    base.advance(FULL, 0.08, MeasuredSpeed(speed(-1.0), 0.0))
    twin.advance(FULL, 0.08)
    base.advance(FULL, 0.08)
    twin.advance(FULL, 0.08)
    assert base.source == "model" and base.measured is None
    assert np.array_equal(base.value, twin.value)


def test_a_frozen_measurement_is_dropped_only_when_the_commands_contradict_it() -> None:
    base = BaseSpeed(POINT)
    zero = POINT.zero()
    base.advance(zero, 0.08, MeasuredSpeed(speed(0.0), 0.0, still_s=60.0))
    assert base.source == "odom"  # it stands, and so says the model
    base.advance(zero, 0.08, MeasuredSpeed(speed(0.8), 0.0, still_s=0.2))
    assert base.source == "odom" and not base.frozen  # pushed, perhaps
    base.advance(zero, 0.08, MeasuredSpeed(speed(0.8), 0.0, still_s=0.3))
    assert base.source == "model" and base.frozen
    assert base.value.tolist() == [0.0, 0.0]
