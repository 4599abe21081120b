"""The brake in closed loop with a robot that is not as the model has it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from support.filters import PERIOD_S

from safe_o2o_ros.robot import POINT
from safe_o2o_ros.safety.filter import FilterConfig, FilterInputs, SafetyFilter
from safe_o2o_ros.safety.limits import SpeedEstimate
from safe_o2o_ros.types import MeasuredSpeed

TICK_S = 0.05
DELAY_S = 0.02


def stop(weight: float, with_odom: bool) -> tuple[float, float]:
    """Brake a Point of `weight` times the model's mass from full speed.

    Returns the seconds until it is slower than 0.03 m/s for good, and the lowest speed, m/s.
    """
    lag, turn = POINT.time_constant_s
    truth = SpeedEstimate(replace(POINT, time_constant_s=(lag * weight, turn)))
    subject = SafetyFilter(POINT, FilterConfig(brake_dt_s=PERIOD_S))
    wish = FilterInputs(True, None, None, operator=np.array([0.05, 0.0], np.float32))
    # Two seconds of full thrust: model and robot agree on the speed, whatever the weight.
    for _ in range(100):
        subject.decide(wish, PERIOD_S)
        truth.advance(subject.last_action, PERIOD_S)
    speeds = []
    for _ in range(60):
        truth.advance(subject.last_action, TICK_S - DELAY_S)
        measured = MeasuredSpeed(truth.speed.astype(np.float32), DELAY_S)
        truth.advance(subject.last_action, DELAY_S)
        subject.decide(FilterInputs(False, None, None, speed=measured if with_odom else None), TICK_S)
        speeds.append(float(truth.speed[0]))
    moving = [i for i, speed in enumerate(speeds) if abs(speed) > 0.03]
    return TICK_S * (moving[-1] + 1), min(speeds)


@pytest.mark.parametrize("weight", [0.7, 1.0, 1.3])
def test_with_odometry_it_stops_in_the_physical_time_and_does_not_reverse(weight: float) -> None:
    seconds, lowest = stop(weight, with_odom=True)
    # Full counter-thrust from top speed: tau ln 2; then three ticks for the rest.
    assert seconds <= 0.52 * weight * math.log(2.0) + 4 * TICK_S
    assert lowest >= -0.03


def test_without_it_the_models_error_is_the_robots() -> None:
    assert stop(1.0, with_odom=False)[1] >= -0.03
    assert stop(0.7, with_odom=False)[1] < -0.1  # too light: it is pushed backwards
    assert stop(1.3, with_odom=False)[0] > 2 * stop(1.3, with_odom=True)[0]  # too heavy: it coasts
