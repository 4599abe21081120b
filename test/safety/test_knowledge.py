"""The filter across a change of bundle: what the bundle says is the new one's, all else goes on."""

import numpy as np
import pytest
from support.filters import PERIOD_S, WHEELED, LinearRisk, latent, proposal

from safe_o2o_ros.manifest import Thresholds
from safe_o2o_ros.safety.filter import FilterConfig, FilterInputs, SafetyFilter
from safe_o2o_ros.safety.inbox import Inbox, InboxConfig, Timeouts
from safe_o2o_ros.safety.knowledge import Knowledge, KnownBundles
from safe_o2o_ros.safety.novelty import NoveltyGauge
from safe_o2o_ros.types import Latent, Level, Mode, Reason

SAFE = LinearRisk(bias=0.1)
FORWARD_IS_RISKY = LinearRisk(weight=(2.0, 0.0), bias=0.1)


def make(risk=SAFE, **known):
    config = FilterConfig(brake_dt_s=PERIOD_S)
    return SafetyFilter(WHEELED, config, risk, 0.5, "v1", **known)


def asked(number, version, x=0.4):
    return FilterInputs(True, latent(number, version), proposal(x, 0.0, number))


def test_a_latent_of_a_held_bundle_is_judged_by_it_and_one_of_another_brakes():
    safety = make()
    safety.hold(Knowledge("v2", FORWARD_IS_RISKY, 0.5))
    assert safety.decide(asked(1, "v1")).reason is Reason.PASS
    for number in range(2, 6):
        decision = safety.decide(asked(number, "v2", 1.0))
    assert (decision.reason, decision.version) == (Reason.SUBSTITUTE, "v2")
    unknown = safety.decide(asked(6, "v3"))
    assert (unknown.reason, unknown.version) == (Reason.UNKNOWN_BUNDLE, "v2")
    assert safety.decide(asked(7, "v1")).version == "v1"
    safety.release("v2")
    assert safety.decide(asked(8, "v2")).reason is Reason.UNKNOWN_BUNDLE


def test_the_bundle_in_use_is_neither_released_nor_replaced():
    safety = make()
    safety.release("v1")
    safety.hold(Knowledge("v1", FORWARD_IS_RISKY, 0.0))
    assert safety.decide(asked(1, "v1")).reason is Reason.PASS


@pytest.mark.parametrize("mode", [Mode.FILTER, Mode.SHADOW])
def test_equal_bundles_under_two_names_give_what_one_gives(mode):
    """Speed, last action, hysteresis, standing, recovery: nothing starts anew at a change."""
    one, two = make(FORWARD_IS_RISKY), make(FORWARD_IS_RISKY)
    two.hold(Knowledge("v2", FORWARD_IS_RISKY, 0.5))
    one.mode = two.mode = mode
    rng = np.random.default_rng(0)
    reasons = set()
    for number in range(1, 400):
        # A driver who insists for long, so that recovery runs; then one who does not.
        x = 1.0 if number < 200 else float(rng.uniform(-1.0, 1.0))
        a = one.decide(asked(number, "v1", x))
        b = two.decide(asked(number, "v1" if number // 7 % 2 else "v2", x))
        assert np.array_equal(a.action, b.action) and a.reason is b.reason, number
        assert one.standing == two.standing
        reasons.add(a.reason)
    assert mode is Mode.SHADOW or {Reason.PASS, Reason.SUBSTITUTE} <= reasons


def gauge(caution=1.0, stop=2.0):
    return NoveltyGauge(Thresholds(0.5, 10.0, 20.0, {}, caution, stop), PERIOD_S)


def odd(number, version, pictures):
    feature = np.array([0.0, 0.0, pictures, 0.0], np.float32)
    return FilterInputs(True, Latent(number, version, feature, 0.0), proposal(0.1, 0.0, number))


def test_what_was_novel_stays_novel_across_a_change_and_is_judged_by_the_new_thresholds():
    safety = make(gauge=gauge())
    safety.hold(Knowledge("v2", SAFE, 0.5, gauge()))
    safety.hold(Knowledge("v3", SAFE, 0.5, gauge(5.0, 6.0)))
    for number in range(1, 12):
        safety.decide(odd(number, "v1", 3.0))
    # One ordinary picture among ten odd ones is no ordinary world.
    assert safety.decide(odd(12, "v2", 0.0)).reason is Reason.NOVEL
    assert safety.decide(odd(13, "v3", 3.0)).reason is Reason.PASS


def test_a_gauge_that_was_left_does_not_remember_when_it_comes_back_from_a_bundle_without_one():
    known = KnownBundles(Knowledge("v1", SAFE, 0.5, gauge()))
    known.hold(Knowledge("v2", SAFE, 0.5))
    for _ in range(10):
        known.used.gauge.add(np.array([0.0, 3.0, 0.0], np.float32))
    assert known.used.gauge.state.level is Level.ERROR
    known.follow("v2")
    known.follow("v1")
    assert known.used.gauge.state.level is Level.OK


def test_the_inbox_takes_latents_of_what_is_held_at_its_size_and_no_others():
    inbox = Inbox(WHEELED, InboxConfig("v1", 4), Timeouts())
    inbox.hold("v2", 5)
    assert inbox.versions == ("v1", "v2")

    def answer(latent, now_s):
        inbox.note_latent(latent, now_s)
        inbox.note_proposal(proposal(0.1, 0.0, latent.stamp_ns), now_s)
        return inbox.question(Mode.FILTER, True, False, now_s)

    assert answer(Latent(1, "v2", np.zeros(5, np.float32), 0.0), 1.0).refusal is None
    assert answer(latent(2, "v1"), 1.1).refusal is None
    inbox.release("v1")
    inbox.note_latent(latent(3, "v1"), 1.2)
    assert inbox.deadline(Mode.FILTER, True, False, 1.2).refusal.reason is Reason.UNKNOWN_BUNDLE
    inbox.note_latent(Latent(4, "v2", np.zeros(4, np.float32), 0.0), 9.0)
    assert inbox.deadline(Mode.FILTER, True, False, 9.0).refusal.reason is Reason.UNKNOWN_BUNDLE
