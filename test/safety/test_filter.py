"""The filter's decision table row by row, by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from support.filters import PERIOD_S, VERSION, WHEELED, LinearRisk, latent, proposal

from safe_o2o_ros.robot import POINT
from safe_o2o_ros.safety.base_limits import tightened
from safe_o2o_ros.safety.filter import FilterConfig, FilterInputs, Refusal, SafetyFilter
from safe_o2o_ros.safety.limits import Limits
from safe_o2o_ros.types import BRAKE_REASONS, Decision, FloatArray, MeasuredSpeed, Mode, Reason, Source

FULL = np.array([1.0, 1.0], np.float32)


def make(risk: LinearRisk | None = None, threshold: float = 0.5, mode: Mode = Mode.FILTER) -> SafetyFilter:
    return SafetyFilter(POINT, FilterConfig(mode, brake_dt_s=PERIOD_S), risk, threshold, VERSION)


def drive(subject: SafetyFilter, x: float = 1.0, z: float = 0.0, stamp_ns: int = 1) -> Decision:
    return subject.decide(FilterInputs(True, latent(stamp_ns), proposal(x, z, stamp_ns)))


GOOD = FilterInputs(True, latent(), proposal(1.0, 1.0))


@pytest.mark.parametrize(
    ("inputs", "reason", "late_input"),
    [
        (replace(GOOD, closing=True), Reason.SHUTDOWN, ""),
        (replace(GOOD, enabled=False), Reason.DISABLED, ""),
        (replace(GOOD, e_stop="pressed"), Reason.E_STOP, ""),
        (replace(GOOD, e_stop="silent"), Reason.E_STOP, "e_stop"),
        (replace(GOOD, operator=np.array([math.nan, 0.0], np.float32)), Reason.NON_FINITE, "cmd_vel_teleop"),
        (replace(GOOD, refusal=Refusal(Reason.UNKNOWN_BUNDLE, "latent")), Reason.UNKNOWN_BUNDLE, "latent"),
        (replace(GOOD, late_input="latent"), Reason.STALE, "latent"),
        # A deadline certifies nothing, whatever is fresh.
        (replace(GOOD, deadline=True), Reason.STALE, "cmd_vel_nominal"),
        (replace(GOOD, latent=None, late_input="latent"), Reason.WAITING, "latent"),
        (replace(GOOD, proposal=None), Reason.WAITING, "cmd_vel_nominal"),
        (replace(GOOD, latent=None), Reason.WAITING, "latent"),
        (replace(GOOD, proposal=proposal(math.nan, 0.0)), Reason.NON_FINITE, "cmd_vel_nominal"),
        (replace(GOOD, proposal=proposal(0.0, -math.inf)), Reason.NON_FINITE, "cmd_vel_nominal"),
        (replace(GOOD, latent=latent(value=math.nan)), Reason.NON_FINITE, "latent"),
        (replace(GOOD, latent=latent(version="v2")), Reason.UNKNOWN_BUNDLE, "latent"),
        # The first row that applies: several things are wrong at once.
        (FilterInputs(False, None, None, "latent", closing=True), Reason.SHUTDOWN, ""),
        (FilterInputs(False, None, None, "latent", e_stop="silent"), Reason.E_STOP, "e_stop"),
        (FilterInputs(False, None, None, "latent"), Reason.DISABLED, ""),
        (FilterInputs(False, None, None, "latent", operator=FULL), Reason.DISABLED, ""),
        (FilterInputs(True, None, None, "latent"), Reason.WAITING, "latent"),
        (replace(GOOD, latent=latent(version="v2", value=math.inf)), Reason.NON_FINITE, "latent"),
    ],
)
def test_whatever_is_unknown_brakes_and_is_named(
    inputs: FilterInputs, reason: Reason, late_input: str
) -> None:
    decision = make(LinearRisk()).decide(inputs)
    assert (decision.reason, decision.late_input) == (reason, late_input)
    assert reason in BRAKE_REASONS and decision.changed
    assert decision.action.tolist() == [0.0, 0.0]  # it stood
    assert math.isnan(decision.value) and math.isnan(decision.threshold) and decision.candidates == 0
    assert decision.source is Source.NONE and decision.nominal is None and decision.scores is None


@pytest.mark.parametrize("part", ["risk", "cost", "state_risk"])
def test_a_critic_that_is_not_finite_brakes(part: str) -> None:
    broken = {
        "risk": LinearRisk(weight=(math.nan, 0.0)),
        "cost": LinearRisk(slope=(math.nan, 0.0)),
        "state_risk": LinearRisk(state_risk=math.nan),
    }[part]
    decision = drive(make(broken))
    assert (decision.reason, decision.late_input) == (Reason.NON_FINITE, "safety value")
    assert not decision.action.any()


def test_without_a_bundle_only_limits_only_drives() -> None:
    assert drive(make(None)).reason is Reason.UNKNOWN_BUNDLE
    assert drive(make(None, mode=Mode.SHADOW)).reason is Reason.UNKNOWN_BUNDLE
    decision = make(None, mode=Mode.LIMITS_ONLY).decide(FilterInputs(True, None, proposal(0.02, 1.0)))
    assert decision.reason is Reason.LIMITS_ONLY and not decision.changed
    assert decision.action.tolist() == pytest.approx([0.02, 1.0])


def test_a_certified_command_passes_with_its_value_and_stamp() -> None:
    decision = drive(make(LinearRisk(bias=0.5, state_risk=0.25)), 0.06, -0.3, stamp_ns=77)
    assert decision.action.tolist() == [np.float32(0.06), np.float32(-0.3)]  # saturated, yet untouched
    assert (decision.reason, decision.changed, decision.stamp_ns) == (Reason.PASS, False, 77)
    assert (decision.value, decision.threshold, decision.version) == (0.75, 0.5, VERSION)
    assert decision.candidates == 2 + 11 * 11  # nominal, brake, grid


def test_a_risk_equal_to_the_threshold_is_certified_and_one_above_is_not() -> None:
    assert drive(make(LinearRisk(bias=0.5))).reason is Reason.PASS
    assert drive(make(LinearRisk(bias=0.5000001))).reason is Reason.ESCAPE


def test_a_share_of_the_threshold_is_all_that_is_certified() -> None:
    def ask(bias: float) -> Decision:
        config = FilterConfig(risk_share=0.5)
        return drive(SafetyFilter(POINT, config, LinearRisk(bias=bias), 0.5, VERSION))

    assert ask(0.25).reason is Reason.PASS and ask(0.25).threshold == 0.75
    assert ask(0.26).reason is Reason.ESCAPE


def test_the_nearest_certified_command_is_measured_in_effective_actuation() -> None:
    # risk = effective forward thrust: certified up to 0.5; the grid's rows are at -1, -0.8, ..., 1.
    risk = LinearRisk(weight=(1.0, 0.0))
    decision = drive(make(risk), 1.0, 1.0)
    assert (decision.reason, decision.changed) == (Reason.SUBSTITUTE, True)
    # 0.4 is the largest row below 0.5; effective 0.4 is raw 0.02.
    np.testing.assert_allclose(decision.action, [0.02, 1.0], rtol=1e-6)
    # Raw 1.0 and raw 0.05 are the same command on this base.
    again = drive(make(risk), 0.05, 1.0)
    assert np.array_equal(again.action, decision.action)


def test_the_brake_is_a_candidate_and_wins_ties() -> None:
    # Standing: the brake is (0, 0), and so is the grid's middle. Only |x| small is certified.
    decision = drive(make(LinearRisk(weight=(1.0, 0.0)), threshold=0.0), 1.0, 0.0)
    assert decision.reason is Reason.SUBSTITUTE and decision.action.tolist() == [0.0, 0.0]


def test_without_a_certified_command_the_cheapest_one_escapes() -> None:
    risk = LinearRisk(bias=1.0, slope=(2.0, -1.0))  # flat risk: the cost alone ranks
    decision = drive(make(risk), 1.0, 0.0)
    assert (decision.reason, decision.changed) == (Reason.ESCAPE, True)
    np.testing.assert_allclose(decision.action, [-0.05, 1.0])


def test_an_escape_that_is_the_nominal_command_is_no_override() -> None:
    risk = LinearRisk(bias=1.0, slope=(2.0, -1.0))
    decision = drive(make(risk), -0.05, 1.0)
    assert decision.reason is Reason.ESCAPE and not decision.changed
    assert decision.action.tolist() == [np.float32(-0.05), 1.0]


def test_a_threshold_that_is_not_a_number_certifies_nothing() -> None:
    assert drive(make(LinearRisk(), threshold=math.nan)).reason is Reason.ESCAPE


def test_shadow_computes_and_passes() -> None:
    decision = drive(make(LinearRisk(bias=1.0, state_risk=0.9), mode=Mode.SHADOW), 0.04, 0.5)
    assert (decision.reason, decision.changed) == (Reason.SHADOW, False)
    assert decision.value == pytest.approx(0.1) and decision.candidates == 123
    assert decision.action.tolist() == [np.float32(0.04), 0.5]


def test_candidates_lie_in_the_box_reachable_under_the_acceleration_limits() -> None:
    risk = LinearRisk(bias=1.0)
    subject = SafetyFilter(WHEELED, FilterConfig(brake_dt_s=PERIOD_S), risk, 0.5, VERSION)
    drive(subject, 1.0, 1.0)
    candidates = risk.asked[0]
    # From standing: 1 / s * 0.08 s forward, 2 / s * 0.08 s turning.
    np.testing.assert_allclose(candidates[0], [0.08, 0.16], rtol=1e-6)  # the nominal one, clipped first
    np.testing.assert_allclose(candidates.min(0), [-0.08, -0.16], rtol=1e-6)
    np.testing.assert_allclose(candidates.max(0), [0.08, 0.16], rtol=1e-6)


def test_braking_at_speed_is_counter_thrust_and_ends_in_a_plain_zero() -> None:
    subject = make(LinearRisk())
    for _ in range(30):
        drive(subject)
    assert not subject.standing
    off = replace(GOOD, enabled=False)
    first = subject.decide(off)
    assert first.action[0] == np.float32(-0.05) and first.action[1] == 0.0
    answers = [subject.decide(off).action for _ in range(8)]
    assert not answers[-1].any() and subject.standing


def test_the_brake_plans_from_the_time_that_really_passed() -> None:
    quick, slow = make(LinearRisk()), make(LinearRisk())
    for subject, elapsed in ((quick, 0.01), (slow, 0.08)):
        drive(subject)
        subject.decide(replace(GOOD, enabled=False), elapsed)
    # 0.01 s at full thrust: 0.0286 m/s; 0.08 s: 0.2139 m/s, times exp(-dt/tau) / (top (1 - exp(-dt/tau))).
    assert quick.last_action[0] == pytest.approx(-0.05 * 0.02857 * 4.00855, rel=1e-3)
    assert slow.last_action[0] == pytest.approx(-0.05 * 0.21389 * 4.00855, rel=1e-3)


def test_an_answer_that_is_not_committed_leaves_no_trace() -> None:
    subject, twin = make(LinearRisk()), make(LinearRisk())
    for each in (subject, twin):
        drive(each, stamp_ns=5)
    for _ in range(3):
        decision = subject.decide(replace(GOOD, late_input="latent"), commit=False)
        assert decision.reason is Reason.STALE
        assert decision.stamp_ns == 5  # the last one answered
    assert np.array_equal(subject.last_action, twin.last_action)
    off = replace(GOOD, enabled=False)
    assert np.array_equal(subject.decide(off).action, twin.decide(off).action)


def test_an_episode_start_means_the_robot_stands() -> None:
    subject = make(LinearRisk())
    for _ in range(10):
        drive(subject)
    subject.reset()
    assert subject.standing and not subject.last_action.any()
    assert not subject.decide(replace(GOOD, enabled=False)).action.any()


def test_limits_are_no_override() -> None:
    subject = SafetyFilter(WHEELED, FilterConfig(brake_dt_s=PERIOD_S), LinearRisk(), 0.5, VERSION)
    decision = drive(subject, 1.0, 1.0)
    assert decision.reason is Reason.PASS and not decision.changed
    limits = Limits(WHEELED)
    expected = limits.clip(FULL, limits.box(WHEELED.zero(), PERIOD_S))
    assert np.array_equal(decision.action, expected)


def test_a_latent_of_another_frame_than_the_command_brakes_and_is_named() -> None:
    subject = make(LinearRisk())
    decision = subject.decide(FilterInputs(True, latent(1), proposal(1.0, 0.0, 2)))
    assert (decision.reason, decision.late_input) == (Reason.STALE, "latent")
    assert not decision.action.any()


def wheeled(mode: Mode = Mode.FILTER, **config: object) -> SafetyFilter:
    settings = FilterConfig(mode, brake_dt_s=PERIOD_S, **config)  # type: ignore[arg-type]
    return SafetyFilter(WHEELED, settings, LinearRisk(), 0.5, VERSION)


def raw(x: float, z: float) -> FloatArray:
    return np.array([x, z], np.float32)


def test_an_operator_drives_within_limits_without_bundle_latent_or_command() -> None:
    subject = SafetyFilter(WHEELED, FilterConfig(brake_dt_s=PERIOD_S))
    wish = raw(0.05, 0.1)
    decision = subject.decide(FilterInputs(True, None, None, "latent", operator=wish, deadline=True))
    assert (decision.reason, decision.source) == (Reason.OPERATOR, Source.OPERATOR)
    assert not decision.changed and decision.action.tolist() == wish.tolist()
    assert decision.nominal is not None and decision.nominal.tolist() == wish.tolist()


def test_an_operator_goes_before_the_policy_and_answers_its_image() -> None:
    subject = wheeled()
    inputs = FilterInputs(True, latent(9), proposal(-1.0, 0.0, 9), operator=raw(0.05, 0.0))
    decision = subject.decide(inputs)
    assert (decision.reason, decision.stamp_ns) == (Reason.OPERATOR, 9)
    assert decision.action[0] == np.float32(0.05)
    later = subject.decide(replace(inputs, proposal=proposal(-1.0, 0.0, 10), deadline=True))
    assert later.stamp_ns == 9  # nobody asked: the new image is still to be answered


def test_a_wish_beyond_the_limits_keeps_its_curvature() -> None:
    for subject, inputs in (
        (wheeled(), FilterInputs(True, None, None, operator=raw(1.0, 0.5))),
        (wheeled(Mode.LIMITS_ONLY), FilterInputs(True, None, proposal(1.0, 0.5))),
    ):
        # Standing, 0.08 forward and 0.16 turning are within reach: both shrink by 0.08.
        np.testing.assert_allclose(subject.decide(inputs).action, [0.08, 0.04], rtol=1e-6)


def test_where_no_multiple_of_the_wish_is_in_reach_each_channel_goes_as_far_as_it_may() -> None:
    subject = wheeled()
    for _ in range(5):
        subject.decide(FilterInputs(True, None, None, operator=raw(1.0, 0.0)))
    # At 0.4 forward: down to 0.2, and 0.16 turning.
    action = subject.decide(FilterInputs(True, None, None, operator=raw(0.0, -1.0))).action
    np.testing.assert_allclose(action, [0.2, -0.16], rtol=1e-5)


def test_an_answer_comes_as_far_as_the_time_since_the_last_one_allows() -> None:
    wish = FilterInputs(True, None, None, operator=raw(1.0, 0.0))
    np.testing.assert_allclose(wheeled().decide(wish, 0.01).action, [0.01, 0.0], rtol=1e-6)
    # A late answer makes up for nothing.
    np.testing.assert_allclose(wheeled().decide(wish, 10.0).action, [0.08, 0.0], rtol=1e-6)


def test_given_limits_bound_what_drives_and_not_the_brake() -> None:
    bounds = tightened(WHEELED, max_velocity=[0.02, 0.0, 1.0], max_decel=[-0.0625, 0.0, -1.0])
    subject = wheeled(bounds=bounds)
    decision = drive(subject, 1.0, 0.0)
    np.testing.assert_allclose(decision.action, [0.04, 0.0], rtol=1e-6)  # 0.02 of 0.5 m/s
    # 0.0625 m/s^2 is 0.125 of the top speed per second, 0.01 per period.
    braking = subject.decide(replace(GOOD, enabled=False))
    np.testing.assert_allclose(braking.action, [0.03, 0.0], rtol=1e-5)
    # A robot that may not drive backwards may still push backwards to stop.
    still = SafetyFilter(
        POINT,
        FilterConfig(brake_dt_s=PERIOD_S, bounds=tightened(POINT, min_velocity=[0.0, 0.0, -3.0])),
        LinearRisk(),
        0.5,
        VERSION,
    )
    for _ in range(10):
        drive(still)
    assert drive(still, -1.0).action[0] == 0.0
    assert still.decide(replace(GOOD, enabled=False)).action[0] < 0.0


def test_commands_do_not_run_ahead_of_a_base_that_is_blocked() -> None:
    subject = wheeled()
    for i in range(6):  # half a second later it would drive back
        # Odometry shivers a little about zero: the wheels do not turn.
        blocked = MeasuredSpeed(raw(0.001 * (i % 2), 0.0), 0.01)
        decision = subject.decide(replace(GOOD, proposal=proposal(1.0, 0.0), speed=blocked))
    # What is reached in LAG_S and a period: 1.0 / s * 0.38 s, and 0.002 of the top speed.
    assert decision.speed_source == "odom"
    np.testing.assert_allclose(decision.action, [0.382, 0.0], atol=1e-6)
    free = subject.decide(replace(GOOD, proposal=proposal(1.0, 0.0)))
    assert free.speed_source == "model" and free.action[0] > 0.45


def test_a_base_that_runs_away_is_never_told_to_drive_on() -> None:
    subject = wheeled()
    pushed = MeasuredSpeed(raw(0.5, 0.0), 0.01)
    decision = subject.decide(replace(GOOD, enabled=False, speed=pushed))
    assert decision.action.tolist() == [0.0, 0.0]
    assert drive(subject, 0.0, 0.0).action.tolist() == [0.0, 0.0]


def test_a_measured_speed_is_what_the_brake_pushes_against() -> None:
    subject = make(LinearRisk())
    decision = subject.decide(replace(GOOD, enabled=False, speed=MeasuredSpeed(raw(0.15, 0.0), 0.0)))
    # By hand in test_limits: 0.15 m/s needs 0.60128 of the full thrust.
    np.testing.assert_allclose(decision.action, [-0.05 * 0.60128, 0.0], atol=1e-6)
    assert decision.speed_source == "odom"


def test_odometry_that_is_required_and_frozen_brakes_and_else_is_left_out() -> None:
    frozen = replace(GOOD, speed=MeasuredSpeed(raw(0.4, 0.0), 0.01, still_s=5.0))
    decision = wheeled(require_odom=True).decide(frozen)
    assert (decision.reason, decision.late_input) == (Reason.STALE, "odom")
    subject = wheeled()
    decision = subject.decide(frozen)
    assert (decision.reason, decision.speed_source, subject.odom_frozen) == (Reason.PASS, "model", True)


def test_the_scores_hold_every_candidate_with_its_risk_the_nominal_first() -> None:
    decision = drive(make(LinearRisk(weight=(0.5, 0.0), bias=0.1)), 0.03, -0.3)
    scores = decision.scores
    assert scores is not None and scores.shape == (123, 3) and scores.dtype == np.float32
    np.testing.assert_allclose(scores[0], [0.03, -0.3, 0.1 + 0.5 * 0.6], rtol=1e-6)
    np.testing.assert_allclose(scores[-1], [0.05, 1.0, 0.6], rtol=1e-6)


def test_the_mode_may_change_between_two_answers() -> None:
    subject = make(LinearRisk(bias=1.0))
    assert drive(subject).reason is Reason.ESCAPE
    subject.mode = Mode.SHADOW
    assert drive(subject).reason is Reason.SHADOW
    subject.mode = Mode.LIMITS_ONLY
    assert drive(subject).reason is Reason.LIMITS_ONLY
