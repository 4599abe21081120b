"""The canary: counts by hand, chance exactly, and how often it cries wolf."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_o2o_ros.online.canary import (
    COST,
    FAULT,
    INTERVENTION,
    LATE,
    NOVELTY,
    OVERRIDE,
    SURPRISE,
    Canary,
    CanaryBounds,
    chance,
    tail,
)
from safe_o2o_ros.types import Reason

PERIOD_S = 0.1


class Drive:
    """Tells a canary what a robot does, a period at a time."""

    def __init__(self, **bounds):
        self.canary = Canary(CanaryBounds(**bounds))
        self.now_s = 100.0

    def __call__(self, seconds, reason=Reason.PASS, novelty="", cost=0.0, surprise=1.0):
        for _ in range(round(seconds / PERIOD_S)):
            self.now_s += PERIOD_S
            self.canary.state(self.now_s, reason, novelty, {"reason": reason.value})
            self.canary.cost(self.now_s, cost)
            self.canary.surprise(surprise)

    def once(self, reason):
        """A short time of another reason, then driving until it cannot be the same event."""
        self(0.2, reason)
        self(1.3)


def counts(drive):
    measures = drive.canary.measures()
    return {k: v for k, v in measures.items() if v and k not in ("watched_s", "before_s")}


def test_a_quiet_drive_is_kept_after_the_seconds_it_takes():
    drive = Drive(seconds=20.0)
    drive(30.0)
    drive.canary.begin(True)
    drive(19.0)
    assert drive.canary.finding() is None
    drive(1.2)
    finding = drive.canary.finding()
    assert finding.keep and finding.sentence == "no sign of harm in 20 s of driving"
    assert counts(drive) == {}


def test_every_sign_is_counted_once_per_event_before_and_after():
    drive = Drive(seconds=1000.0)
    drive(5.0)
    signs = {
        INTERVENTION: lambda: [drive.once(r) for r in (Reason.OPERATOR, Reason.E_STOP, Reason.DISABLED)],
        OVERRIDE: lambda: [drive.once(r) for r in (Reason.SUBSTITUTE, Reason.ESCAPE, Reason.STUCK)],
        LATE: lambda: drive.once(Reason.STALE),
        NOVELTY: lambda: [drive(0.5, novelty="caution: pictures"), drive(2.0)],
        COST: lambda: [drive(3.0, cost=1.0), drive(2.0)],
        FAULT: lambda: drive.once(Reason.NON_FINITE),
    }
    expected = {INTERVENTION: 3, OVERRIDE: 3, LATE: 1, NOVELTY: 1, COST: 1, FAULT: 1}
    for event in signs.values():
        event()
    drive.canary.begin(True)
    assert counts(drive) == {f"{sign}_before": n for sign, n in expected.items()}
    for event in (*signs.values(), signs[COST]):
        event()
    after = {sign: n + (sign == COST) for sign, n in expected.items()}
    assert counts(drive) == after | {f"{sign}_before": n for sign, n in expected.items()}


def test_what_stands_or_is_driven_by_a_human_is_no_driving():
    drive = Drive(seconds=10.0)
    drive(5.0)
    drive.canary.begin(True)
    for reason in (Reason.OPERATOR, Reason.DISABLED, Reason.WAITING, Reason.STALE, Reason.E_STOP):
        drive(30.0, reason, cost=1.0, surprise=50.0)
    assert drive.canary.watched_s < 0.2
    assert drive.canary.measures()[COST] == 0.0


def test_a_silent_filter_is_no_driving():
    drive = Drive(seconds=10.0)
    drive(5.0)
    drive.canary.begin(True)
    drive.now_s += 1000.0
    drive(0.1)
    assert drive.canary.watched_s == pytest.approx(1.0)


def test_many_interventions_roll_back_at_once_and_fewer_do_not():
    drive = Drive(seconds=100.0, most={INTERVENTION: 3})
    drive(50.0)
    drive.canary.begin(True)
    for _ in range(2):
        drive.once(Reason.OPERATOR)
        assert drive.canary.finding() is None
    drive.once(Reason.OPERATOR)
    finding = drive.canary.finding()
    assert not finding.keep and finding.sentence.startswith("3 interventions in")
    drive.canary.end()
    assert drive.canary.finding() is None


def test_outputs_that_are_never_finite_roll_back_although_nothing_drives():
    drive = Drive(seconds=100.0)
    drive(50.0)
    drive.canary.begin(True)
    drive(5.0, Reason.NON_FINITE)
    assert "faults" in drive.canary.finding().sentence


def test_more_costs_than_before_roll_back_and_as_many_do_not():
    for every_s, keeps in ((30.0, True), (4.0, False)):
        drive = Drive(seconds=120.0, most={})
        for _ in range(20):
            drive(29.0)
            drive(1.0, cost=1.0)
        drive.canary.begin(True)
        finding = None
        while finding is None:
            drive(every_s - 1.0)
            drive(1.0, cost=1.0)
            finding = drive.canary.finding()
        assert finding.keep is keeps, finding
        assert ("costs" in finding.sentence) is not keeps


def test_surprise_is_compared_within_one_encoder_only():
    for same in (True, False):
        drive = Drive(seconds=40.0, most={})
        rng = np.random.default_rng(0)
        for _ in range(100):
            drive(1.0, surprise=float(rng.normal(1.0, 0.1)))
        drive.canary.begin(same)
        finding = None
        while finding is None:
            drive(1.0, surprise=3.0)
            finding = drive.canary.finding()
        assert finding.keep is not same
        assert (SURPRISE in finding.sentence) is same


def test_nothing_is_called_worse_where_there_is_nothing_to_compare_with():
    drive = Drive(seconds=20.0, most={})
    drive(0.2)
    drive.canary.begin(True)
    while drive.canary.finding() is None:
        drive(1.0)
        drive(1.0, cost=1.0)
    assert chance(10, 20.0, 0, 0.0, 2.0) == 1.0


def test_the_tail_is_the_binomial_s():
    for n, k, p in ((1, 1, 0.3), (5, 2, 0.5), (40, 9, 0.1)):
        draws = sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k))
        assert tail(n, k, p) == pytest.approx(1.0 - draws)


@given(st.integers(0, 50), st.integers(0, 50), st.floats(1.0, 100.0), st.floats(1.0, 100.0))
def test_chance_is_a_probability_that_falls_with_events_after_and_grows_with_those_before(a, b, ta, tb):
    p = chance(a, ta, b, tb, 2.0)
    assert 0.0 <= p <= 1.0 + 1e-9
    assert chance(a + 1, ta, b, tb, 2.0) <= p + 1e-9
    assert a == 0 or chance(a, ta, b + 1, tb, 2.0) >= p - 1e-9


def test_a_bundle_that_is_no_worse_is_rolled_back_no_more_often_than_promised():
    """Poisson events at one rate before and after, tested at the rate that is allowed to have grown by 1."""
    rng = np.random.default_rng(1)
    alarms = 0
    runs, looks, share = 4000, 4, 0.05 / (4 * 7)
    for _ in range(runs):
        before = rng.poisson(10.0)
        after = np.cumsum(rng.poisson(0.5, looks))
        alarms += any(chance(int(n), 15.0 * (i + 1), before, 300.0, 1.0) < share for i, n in enumerate(after))
    assert alarms / runs <= 0.05 / 7


def test_evidence_holds_counts_events_and_the_states_since_the_change():
    drive = Drive(seconds=50.0)
    drive(5.0)
    drive.canary.begin(True)
    drive(2.0)
    drive(0.5, Reason.OPERATOR)
    evidence = drive.canary.evidence()
    assert evidence["measures"][INTERVENTION] == 1.0
    assert [e["sign"] for e in evidence["events"]] == [INTERVENTION]
    assert len(evidence["states"]) == 25
    assert evidence["states"][-1]["reason"] == "operator"
