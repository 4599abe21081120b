"""Held by what no camera shows: told to drive, and odometry says that the base stands."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.filters import PERIOD_S, VERSION, WHEELED, LinearRisk, latent, proposal

from safe_o2o_ros.robot import CAR, POINT, ROOM_BASE
from safe_o2o_ros.safety.filter import FilterConfig, FilterInputs, SafetyFilter
from safe_o2o_ros.safety.obstruction import Obstruction
from safe_o2o_ros.safety.recovery import RecoveryConfig
from safe_o2o_ros.types import Decision, FloatArray, MeasuredSpeed, Mode, Reason

ALL_FREE, ALL_DANGER = LinearRisk(), LinearRisk(bias=0.9)
TRIES = 2


def make(risk: LinearRisk = ALL_FREE) -> SafetyFilter:
    config = FilterConfig(Mode.FILTER, brake_dt_s=PERIOD_S, recovery=RecoveryConfig(attempts=TRIES))
    return SafetyFilter(WHEELED, config, risk, 0.2, VERSION)


def speed(forward: float, still_s: float = 0.0) -> MeasuredSpeed:
    return MeasuredSpeed(np.array([forward, 0.0], np.float32), 0.01, still_s)


def held(subject: SafetyFilter, seconds: float, x: float = 1.0, zero: bool = False) -> list[Decision]:
    """The policy drives on and the base does not move; `zero`: to the last bit."""
    decisions = []
    for i in range(round(seconds / PERIOD_S)):
        measured = speed(0.0, 9.0) if zero else speed(0.001 * (i % 2))
        decisions.append(subject.decide(FilterInputs(True, latent(), proposal(x, 0.0), speed=measured)))
    return decisions


def test_it_pushes_where_commands_should_move_it_and_it_does_not_get_on() -> None:
    full, back = np.array([1.0, 0.0], np.float32), np.array([-1.0, 0.0], np.float32)
    obstruction = Obstruction(ROOM_BASE, 0)  # top speed 0.46 m/s, a fifth of it 0.092
    assert obstruction.note(full, 0.1, np.array([0.091, 0.0])) == 1.0
    assert obstruction.note(back, 0.1, np.array([0.0, 1.0])) == -1.0
    assert obstruction.note(full, 0.1, np.array([0.093, 0.0])) == 0.0
    assert obstruction.note(full, 0.1, None) == 0.0
    assert obstruction.note(full, 0.1, np.array([math.nan, 0.0])) == 0.0
    assert obstruction.note(np.array([0.14, 1.0], np.float32), 0.1, np.zeros(2)) == 0.0  # friction holds it
    assert obstruction.note(np.array([0.16, 1.0], np.float32), 0.1, np.zeros(2)) == 1.0


def test_a_heavy_base_is_given_time_to_start_and_wheels_push_together() -> None:
    point = Obstruction(POINT, 0)
    full = np.array([0.05, 0.0], np.float32)
    # 1.5 (1 - exp(-0.08 / 0.52)) = 0.2139 m/s is expected after a period: less than 0.15 of 1.5 m/s.
    assert point.note(full, 0.08, np.zeros(2)) == 0.0
    assert point.note(full, 0.08, np.zeros(2)) == 1.0
    car = Obstruction(CAR, 0)
    assert car.note(np.array([0.02, -0.02], np.float32), 0.5, np.zeros(2)) == 0.0  # it turns on the spot
    assert car.note(np.array([-0.02, -0.02], np.float32), 0.5, np.zeros(2)) == -1.0


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("x", [1.0, -1.0])
@pytest.mark.parametrize("risk", [ALL_FREE, ALL_DANGER])
def test_a_held_robot_drives_back_whatever_the_critics_say_of_it(
    risk: LinearRisk, x: float, zero: bool
) -> None:
    subject = make(risk)
    decisions = held(subject, 2.0, x, zero)
    first = [d.reason for d in decisions].index(Reason.RECOVER)
    assert 0.4 < first * PERIOD_S <= 0.8
    retreat = decisions[first : first + round(0.6 / PERIOD_S)]
    assert {d.reason for d in retreat} == {Reason.RECOVER} and all(d.changed for d in retreat)
    # It reaches 0.6 of full actuation backwards as soon as its acceleration lets it, and no more.
    assert min(math.copysign(1.0, x) * d.action[0] for d in retreat) >= -0.6 - 1e-6
    assert math.copysign(1.0, -x) * retreat[-1].action[0] > 0.2


def test_after_the_last_try_it_drives_back_brakes_and_asks_although_every_command_is_certified() -> None:
    subject = make()
    reasons = [d.reason for d in held(subject, 20.0)]
    asked = reasons.index(Reason.STUCK)
    assert set(reasons[asked:]) == {Reason.STUCK}
    assert reasons[asked - 1] is Reason.RECOVER
    begun = sum(a is Reason.PASS and b is Reason.RECOVER for a, b in zip(reasons, reasons[1:], strict=False))
    assert begun == TRIES + 1
    subject.forgive()
    assert held(subject, PERIOD_S)[0].reason is Reason.PASS


def test_without_odometry_nobody_knows_and_nothing_is_done() -> None:
    subject = make()
    inputs = FilterInputs(True, latent(), proposal(1.0, 0.0))
    assert {subject.decide(inputs).reason for _ in range(100)} == {Reason.PASS}


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1, 1), st.integers(1, 20)), min_size=1, max_size=10),
    st.floats(0.5, 1.0),
    st.integers(0, 2),
)
def test_a_base_that_follows_a_little_late_and_a_little_short_is_never_held(
    drive: list[tuple[float, int]], share: float, late: int
) -> None:
    subject = make()
    sent: list[FloatArray] = [np.zeros(2, np.float32)] * 3
    for x, periods in drive:
        for _ in range(periods):
            measured = MeasuredSpeed((share * 0.5 * sent[-1 - late]).astype(np.float32), 0.01)
            decision = subject.decide(FilterInputs(True, latent(), proposal(x, 0.0), speed=measured))
            assert decision.reason is Reason.PASS
            sent.append(decision.action)
