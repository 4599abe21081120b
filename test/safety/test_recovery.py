"""Row 8: a robot that is held gets bounded tries, and then asks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.filters import PERIOD_S, VERSION, WHEELED, LinearRisk, latent, proposal

from safe_o2o_ros.robot import CAR, POINT, ROOM_BASE, RobotAdapter
from safe_o2o_ros.safety.filter import FilterConfig, FilterInputs, SafetyFilter
from safe_o2o_ros.safety.recovery import Phase, Recovery, RecoveryConfig
from safe_o2o_ros.sim.exact.dubins import ADAPTER as DUBINS
from safe_o2o_ros.types import Decision, Mode, Reason

WALL = (2.0, 0.0)
"""Weights of a risk that certifies standing and turning, and nothing that drives ahead."""
CONFIG = RecoveryConfig(stuck_s=0.5, turn_rad=0.9, turn_s=1.5, drive_s=0.5, attempts=3)


def make(risk: LinearRisk, config: RecoveryConfig = CONFIG) -> SafetyFilter:
    return SafetyFilter(
        WHEELED, FilterConfig(Mode.FILTER, brake_dt_s=PERIOD_S, recovery=config), risk, 0.2, VERSION
    )


def drive(subject: SafetyFilter, seconds: float, x: float = 1.0) -> list[Decision]:
    inputs = FilterInputs(True, latent(), proposal(x, 0.0))
    return [subject.decide(inputs) for _ in range(round(seconds / PERIOD_S))]


def test_a_held_robot_turns_away_drives_on_and_after_the_last_try_brakes_and_asks() -> None:
    subject = make(LinearRisk(weight=WALL, bias=0.2))
    reasons = [d.reason for d in drive(subject, 20.0)]
    assert reasons[:5] == [Reason.SUBSTITUTE] * 5
    first = reasons.index(Reason.RECOVER)
    assert 0.4 < first * PERIOD_S <= 0.7
    assert set(reasons) == {Reason.SUBSTITUTE, Reason.RECOVER, Reason.STUCK}
    last = reasons.index(Reason.STUCK)
    assert set(reasons[last:]) == {Reason.STUCK}
    # At most turn_s of turning and 0.5, 0.5, 1 s of driving.
    assert reasons.count(Reason.RECOVER) * PERIOD_S <= 3 * 1.5 + 2.0 + 6 * PERIOD_S
    decision = drive(subject, PERIOD_S)[0]
    assert decision.changed and decision.late_input == "operator" and decision.action.tolist() == [0.0, 0.0]


def test_the_sides_alternate_and_nothing_uncertified_is_driven() -> None:
    risk = LinearRisk(weight=WALL, bias=0.2)
    decisions = drive(make(risk), 12.0)
    for d in decisions:
        assert risk.risk(WHEELED.effective(d.action)[None])[0] <= 0.2 + 1e-5
    turns = [math.copysign(1.0, d.action[1]) for d in decisions if abs(d.action[1]) > 0.5]
    changes = sum(a != b for a, b in zip(turns, turns[1:], strict=False))
    assert changes == 2  # three tries


@pytest.mark.parametrize("help_by", ["nominal", "operator", "forgive", "episode"])
def test_help_that_was_given_starts_everything_anew(help_by: str) -> None:
    risk = LinearRisk(weight=WALL, bias=0.2)
    subject = make(risk)
    assert drive(subject, 20.0)[-1].reason is Reason.STUCK
    if help_by == "nominal":  # the way is free
        assert {d.reason for d in drive(subject, 1.0, x=-1.0)} == {Reason.PASS}
    elif help_by == "operator":
        wish = np.array([-0.5, 0.0], np.float32)
        assert subject.decide(FilterInputs(True, latent(), None, operator=wish)).reason is Reason.OPERATOR
    elif help_by == "forgive":
        subject.forgive()
    else:
        subject.reset()
    assert Reason.RECOVER in {d.reason for d in drive(subject, 3.0)}


def test_a_driver_who_stands_by_himself_is_not_stuck() -> None:
    subject = make(LinearRisk())
    assert {d.reason for d in drive(subject, 5.0, x=0.0)} == {Reason.PASS}


def test_it_can_be_turned_off() -> None:
    subject = make(LinearRisk(weight=WALL, bias=0.2), RecoveryConfig(stuck_s=math.inf))
    assert {d.reason for d in drive(subject, 10.0)} == {Reason.SUBSTITUTE}


@pytest.mark.parametrize("adapter", [POINT, CAR, ROOM_BASE, WHEELED])
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_every_base_turns_to_the_side_and_drives_on_where_it_was_going(
    adapter: RobotAdapter, side: float
) -> None:
    recovery = Recovery(adapter, CONFIG)
    backwards = adapter.raw(recovery.effective(-0.8, 0.0))
    recovery.begin(backwards, side)
    turning = adapter.steady_speed(adapter.raw(recovery.wish()))
    assert turning[0] == pytest.approx(0.0) and math.copysign(1.0, turning[1]) == side
    for _ in range(40):
        recovery.advance(adapter.raw(recovery.wish()), 0.08, True, None)
        if recovery.phase is Phase.DRIVE:
            break
    driving = adapter.steady_speed(adapter.raw(recovery.wish()))
    assert driving[0] == pytest.approx(-0.6 * adapter.top_speed[0]) and driving[1] == pytest.approx(0.0)


def test_a_base_that_cannot_do_both_is_left_alone() -> None:
    recovery = Recovery(DUBINS, CONFIG)
    for _ in range(100):
        recovery.advance(np.zeros(1, np.float32), 0.1, True, None)
    assert not recovery.stuck() and not recovery.running


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.booleans()), min_size=1, max_size=150),
    st.floats(0.0, 1.0),
)
def test_tries_are_bounded_whatever_is_driven(steps: list[tuple[float, float, bool]], pace: float) -> None:
    recovery = Recovery(POINT, RecoveryConfig(stuck_s=0.2, attempts=2, pace=pace))
    begun = 0
    for x, z, hindered in steps * 4:
        raw = POINT.raw(recovery.wish()) if recovery.running else np.array([0.0001 * x, 0.01 * z], np.float32)
        recovery.advance(raw, 0.08, hindered, None)
        if recovery.stuck():
            recovery.begin(np.array([x, z], np.float32), 1.0)
            begun += recovery.running
        assert np.isfinite(recovery.wish()).all() and (np.abs(recovery.wish()) <= 1.0).all()
    # Two in a row; another two only after `forget_s` of driving freely.
    assert begun <= 2 * (1 + len(steps) * 4 * 0.08 / 4.0)
