"""What the filter may use of what it has heard, on a clock the test holds."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from support.filters import VERSION, WHEELED, latent, proposal

from safe_o2o_ros.safety.filter import FilterInputs
from safe_o2o_ros.safety.inbox import Inbox, InboxConfig, Timeouts
from safe_o2o_ros.types import FloatArray, Mode, Reason


def make(**config: object) -> Inbox:
    return Inbox(WHEELED, InboxConfig(VERSION, 4, **config), Timeouts())  # type: ignore[arg-type]


def at(inbox: Inbox, now_s: float, mode: Mode = Mode.FILTER) -> FilterInputs:
    return inbox.deadline(mode, True, False, now_s)


def asks(inbox: Inbox, now_s: float, mode: Mode = Mode.FILTER) -> FilterInputs | None:
    return inbox.question(mode, True, False, now_s)


def period(inbox: Inbox, stamp_ns: int, now_s: float) -> None:
    inbox.note_latent(latent(stamp_ns), now_s)
    inbox.note_proposal(proposal(0.5, 0.0, stamp_ns), now_s)


def raw(x: float) -> FloatArray:
    return np.array([x, 0.0], np.float32)


def test_a_command_is_answered_once_when_its_latent_is_there() -> None:
    inbox = make()
    inbox.note_proposal(proposal(0.5, 0.0, 7), 0.0)
    assert asks(inbox, 0.0) is None
    inbox.note_latent(latent(6), 0.0)
    assert asks(inbox, 0.0) is None
    inbox.note_latent(latent(7), 0.0)
    question = asks(inbox, 0.0)
    assert question is not None and not question.deadline and question.late_input == ""
    assert asks(inbox, 0.0) is None


def test_limits_only_looks_at_no_latent() -> None:
    inbox = make()
    inbox.note_proposal(proposal(0.5, 0.0, 7), 0.0)
    assert asks(inbox, 0.0, Mode.LIMITS_ONLY) is not None
    assert at(inbox, 0.0, Mode.LIMITS_ONLY).late_input == ""
    assert at(inbox, 0.0).late_input == "latent"
    inbox.note_latent(latent(7, "other"), 0.0)
    assert at(inbox, 0.0, Mode.LIMITS_ONLY).refusal is None


def test_latents_and_commands_that_never_fit_together_are_late() -> None:
    inbox = make()
    period(inbox, 1, 0.0)
    assert asks(inbox, 0.0) is not None
    for i in range(1, 8):
        inbox.note_latent(latent(10 * i), 0.1 * i)
        inbox.note_proposal(proposal(0.5, 0.0, 10 * i + 5), 0.1 * i)
        assert asks(inbox, 0.1 * i) is None
    assert at(inbox, 0.7).late_input == "cmd_vel_nominal"


@pytest.mark.parametrize(
    ("spoil", "reason", "name"),
    [
        (lambda i, t: i.note_latent(latent(2, "other"), t), Reason.UNKNOWN_BUNDLE, "latent"),
        (lambda i, t: i.note_latent(latent(2, value=math.nan), t), Reason.NON_FINITE, "latent"),
        (lambda i, t: i.note_proposal(proposal(math.inf, 0.0, 2), t), Reason.NON_FINITE, "cmd_vel_nominal"),
        (lambda i, t: i.refuse(Reason.UNKNOWN_BUNDLE, "latent", t), Reason.UNKNOWN_BUNDLE, "latent"),
    ],
)
def test_one_bad_input_is_held_against_the_good_ones_for_a_while(
    spoil: Callable[[Inbox, float], None], reason: Reason, name: str
) -> None:
    inbox = make()
    spoil(inbox, 0.0)
    period(inbox, 3, 0.25)
    question = asks(inbox, 0.25)
    assert question is not None and question.refusal is not None
    assert (question.refusal.reason, question.refusal.name) == (reason, name)
    period(inbox, 4, 0.51)
    question = asks(inbox, 0.51)
    assert question is not None and question.refusal is None


def test_a_latent_of_the_wrong_size_is_not_of_this_bundle() -> None:
    inbox = Inbox(WHEELED, InboxConfig(VERSION, 5), Timeouts())
    period(inbox, 1, 0.0)
    refusal = at(inbox, 0.0).refusal
    assert refusal is not None and refusal.reason is Reason.UNKNOWN_BUNDLE
    assert asks(inbox, 0.0) is None


def test_in_lockstep_wall_time_is_held_against_nobody() -> None:
    inbox = make(patient=True, use_odom="never")
    inbox.note_latent(latent(1), 0.0)
    inbox.note_proposal(proposal(math.nan, 0.0, 1), 5.0)
    question = asks(inbox, 5.0)
    assert question is not None and question.late_input == "" and question.refusal is None


def test_in_lockstep_a_frame_is_answered_with_its_own_odometry_on_the_clock_of_the_stamps() -> None:
    inbox = make(patient=True)
    inbox.note_odom(raw(0.2), 10**9, 0.0)
    period(inbox, 10**9, 7.0)
    question = asks(inbox, 99.0)
    assert question is not None and question.speed is not None
    assert (question.speed.age_s, question.speed.still_s) == (0.0, 0.0)
    period(inbox, 3 * 10**9, 100.0)
    assert asks(inbox, 100.0) is None  # its odometry is on its way
    inbox.note_odom(raw(0.2), 3 * 10**9, 200.0)
    question = asks(inbox, 200.0)
    assert question is not None and question.speed is not None
    assert (question.speed.age_s, question.speed.still_s) == (0.0, 2.0)
    assert asks(inbox, 201.0) is None  # once


def test_a_deadline_answers_brakes_and_operators_and_else_leaves_it_to_the_policy() -> None:
    inbox = make()
    period(inbox, 1, 0.0)
    assert inbox.is_due(at(inbox, 0.1))  # never answered
    assert asks(inbox, 0.1) is not None
    assert not inbox.is_due(at(inbox, 0.2))
    assert inbox.is_due(inbox.deadline(Mode.FILTER, False, False, 0.2))
    assert inbox.is_due(inbox.deadline(Mode.FILTER, True, True, 0.2))
    inbox.note_operator(raw(0.1), None, 0.2)
    assert inbox.is_due(at(inbox, 0.2))
    assert inbox.is_due(at(inbox, 9.0))


def test_the_operators_silence_hands_over_at_the_dead_mans_age() -> None:
    inbox = make()
    assert at(inbox, 0.0).operator is None
    inbox.note_operator(raw(0.3), None, 1.0)
    operator = at(inbox, 1.5).operator
    assert operator is not None and operator.tolist() == raw(0.3).tolist()
    assert at(inbox, 1.501).operator is None


def test_an_operator_whose_stamp_stands_still_is_silent() -> None:
    inbox = make()
    inbox.note_operator(raw(0.3), 5, 0.0)
    inbox.note_operator(raw(0.3), 5, 0.4)
    assert at(inbox, 0.6).operator is None
    inbox.note_operator(raw(0.3), 4, 0.6)  # the clock was set back: it lives
    assert at(inbox, 0.6).operator is not None


def test_an_operator_who_sent_nan_is_not_believed_until_it_is_over() -> None:
    inbox = make()
    inbox.note_operator(raw(math.nan), None, 0.0)
    inbox.note_operator(raw(0.3), None, 0.25)
    operator = at(inbox, 0.25).operator
    assert operator is not None and np.isnan(operator).all()
    inbox.note_operator(raw(0.3), None, 0.51)
    operator = at(inbox, 0.51).operator
    assert operator is not None and np.isfinite(operator).all()


def test_an_e_stop_locks_when_pressed_silent_or_never_heard() -> None:
    inbox = make(use_e_stop=True)
    assert (inbox.e_stop(0.0), at(inbox, 0.0).e_stop) == ("silent", "silent")
    inbox.note_e_stop(False, 1.0)
    assert (inbox.e_stop(1.5), at(inbox, 1.5).e_stop) == ("clear", "")
    assert at(inbox, 1.501).e_stop == "silent"
    inbox.note_e_stop(True, 2.0)
    assert at(inbox, 2.0).e_stop == "pressed"
    for now_s in (2.25, 2.5, 2.75):  # it flaps: the lock outlasts the last press
        inbox.note_e_stop(False, now_s)
        assert at(inbox, now_s).e_stop == ("" if now_s > 2.5 else "pressed")
    unused = make()
    unused.note_e_stop(True, 0.0)
    assert (unused.e_stop(0.0), at(unused, 0.0).e_stop) == ("not used", "")


def test_odometry_that_is_required_and_bad_is_late_and_else_only_left_out() -> None:
    auto, require, never = make(), make(use_odom="require"), make(use_odom="never")
    for inbox in (auto, require, never):
        period(inbox, 1, 0.0)
        assert asks(inbox, 0.0) is not None
        assert at(inbox, 0.0).speed is None
    assert [at(i, 0.0).late_input for i in (auto, require, never)] == ["", "odom", ""]
    assert [i.odom_problem(0.0) for i in (auto, require, never)] == ["missing", "missing", "not used"]
    for inbox in (auto, require, never):
        inbox.note_odom(raw(0.2), 1, 0.0)
    assert [at(i, 0.1).speed is None for i in (auto, require, never)] == [False, False, True]
    assert at(require, 0.1).late_input == ""
    require.note_odom(raw(math.nan), 2, 0.1)
    assert at(require, 0.1).late_input == "odom" and require.odom_problem(0.1) == "non_finite"


def test_a_reset_forgets_the_pipeline_and_nobody_else() -> None:
    inbox = make(use_e_stop=True)
    period(inbox, 1, 0.0)
    inbox.note_e_stop(True, 0.0)
    inbox.note_operator(raw(0.3), None, 0.0)
    inbox.reset()
    inputs = at(inbox, 0.1)
    assert (inputs.latent, inputs.proposal, inputs.late_input) == (None, None, "latent")
    assert inputs.e_stop == "pressed" and inputs.operator is not None


def test_ages_are_told_by_the_names_of_the_topics() -> None:
    inbox = make()
    period(inbox, 1, 1.0)
    assert inbox.ages_s(1.25) == {
        "latent": 0.25,
        "cmd_vel_nominal": 0.25,
        "cmd_vel_teleop": math.inf,
        "e_stop": math.inf,
        "odom": math.inf,
    }


def test_timeouts_may_change_while_it_runs() -> None:
    inbox = make()
    period(inbox, 1, 0.0)
    assert asks(inbox, 0.0) is not None
    assert at(inbox, 0.9).late_input == "latent"
    inbox.set_timeouts(Timeouts(image=1.0))
    assert at(inbox, 0.9).late_input == ""
