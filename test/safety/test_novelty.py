"""Row 4 by hand: what the signs at the end of a latent make of the answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.filters import PERIOD_S, VERSION, WHEELED, LinearRisk, proposal

from safe_o2o_ros.manifest import Thresholds
from safe_o2o_ros.safety.filter import FilterConfig, FilterInputs, SafetyFilter
from safe_o2o_ros.safety.novelty import NoveltyGauge, smoothed, window_of
from safe_o2o_ros.types import Decision, Latent, Level, Mode, Reason

THRESHOLDS = Thresholds(0.5, 10.0, 20.0, {}, pictures_caution=2.0, pictures_stop=4.0)
WINDOW = window_of(PERIOD_S)  # 10 periods of 0.08 s


def feature(surprise: float = 0.0, pictures: float = 1.0, repeated: float = 0.0) -> np.ndarray:
    return np.array([0.3, -0.3, surprise, pictures, repeated], np.float32)


def gauge_after(*features: np.ndarray) -> NoveltyGauge:
    gauge = NoveltyGauge(THRESHOLDS, PERIOD_S)
    for one in features:
        gauge.add(one)
    return gauge


def test_signs_are_averaged_over_the_window() -> None:
    assert WINDOW == 10
    # Nine ordinary pictures and one at 12: their mean is 2.1. At 10.9 it is 1.99.
    assert str(gauge_after(*[feature()] * 9, feature(pictures=12.0)).state) == "caution: pictures"
    assert gauge_after(*[feature()] * 9, feature(pictures=10.9)).state.level is Level.OK
    # What is older than the window is forgotten; at the start there is less to average.
    assert gauge_after(feature(pictures=90.0), *[feature()] * 10).state.level is Level.OK
    assert str(gauge_after(feature(surprise=21.0)).state) == "stop: surprise"


def test_the_mean_over_a_record_is_that_of_the_gauge() -> None:
    values = np.random.default_rng(0).normal(1.0, 0.4, 40)
    gauge = NoveltyGauge(THRESHOLDS, PERIOD_S)
    for value, mean in zip(values, smoothed(values, WINDOW), strict=True):
        gauge.add(feature(pictures=value))
        if abs(mean - 2.0) > 0.21:
            assert (gauge.state.level is not Level.OK) == (mean > 2.0)
    assert smoothed(np.array([1.0, 2.0, 3.0, 4.0]), 2).tolist() == [1.0, 1.5, 2.5, 3.5]


def test_a_level_is_left_below_nine_tenths_of_its_threshold() -> None:
    gauge = gauge_after(*[feature(pictures=2.1)] * 10)
    for _ in range(20):
        gauge.add(feature(pictures=1.9))
    assert gauge.state.level is Level.WARN
    for _ in range(20):
        gauge.add(feature(pictures=1.7))
    assert gauge.state.level is Level.OK


def test_a_camera_that_repeats_itself_is_first_odd_and_then_dead() -> None:
    gauge = gauge_after(*[feature()] * 10)
    words = []
    for _ in range(8):
        gauge.add(feature(repeated=1.0))
        words.append(str(gauge.state))
    # Means 0.1, 0.2, ... against 0.15 and 0.6.
    assert words == ["", *["caution: repeated"] * 5, *["stop: repeated"] * 2]


@pytest.mark.parametrize("column", [0, 1, 2])
def test_what_is_no_number_stops(column: int) -> None:
    broken = feature()
    broken[2 + column] = math.nan
    assert gauge_after(*[feature()] * 10, broken).state.level is Level.ERROR


class Subject:
    """A filter that measures novelty; `say` gives it one latent and a wish to drive ahead."""

    def __init__(self, risk: LinearRisk, mode: Mode = Mode.FILTER, stop_novel: bool = True) -> None:
        config = FilterConfig(mode, brake_dt_s=PERIOD_S, stop_novel=stop_novel)
        gauge = NoveltyGauge(THRESHOLDS, PERIOD_S)
        self.filter = SafetyFilter(WHEELED, config, risk, 0.5, VERSION, gauge)
        self.stamp_ns = 0

    def say(self, one: np.ndarray, times: int = 1, version: str = VERSION) -> Decision:
        for _ in range(times):
            self.stamp_ns += 80_000_000
            latent = Latent(self.stamp_ns, version, one, 0.0)
            decision = self.filter.decide(FilterInputs(True, latent, proposal(1.0, 0.0, self.stamp_ns)))
        return decision


def test_the_robot_brakes_where_everything_is_new_and_goes_on_where_it_is_not() -> None:
    subject = Subject(LinearRisk())
    assert subject.say(feature(), 20).reason is Reason.PASS
    stopped = subject.say(feature(pictures=9.0), 10)
    assert (stopped.reason, stopped.novelty, stopped.changed) == (Reason.NOVEL, "stop: pictures", True)
    assert subject.say(feature(pictures=9.0), 10).action.tolist() == [0.0, 0.0]
    assert subject.say(feature(), 20).reason is Reason.PASS
    subject.say(feature(pictures=9.0), 10)
    subject.filter.reset()
    assert subject.say(feature()).reason is Reason.PASS


def test_caution_halves_the_allowed_risk_and_slows_down() -> None:
    subject = Subject(LinearRisk(bias=0.3))  # certified up to 0.5, not up to 0.25
    assert subject.say(feature(), 20).reason is Reason.PASS
    decision = subject.say(feature(pictures=3.0), 10)
    assert decision.novelty == "caution: pictures" and decision.reason is Reason.ESCAPE
    assert decision.threshold == pytest.approx(1.0 - 0.25)
    harmless = Subject(LinearRisk())
    assert harmless.say(feature(), 20).action[0] == pytest.approx(1.0)
    assert harmless.say(feature(pictures=3.0), 20).action[0] == pytest.approx(0.6)


def test_where_it_is_said_so_the_new_only_makes_cautious() -> None:
    subject = Subject(LinearRisk(), stop_novel=False)
    decision = subject.say(feature(pictures=9.0), 10)
    assert decision.reason is Reason.PASS and decision.novelty == "stop: pictures"


def test_the_shadow_says_that_it_would_have_stopped() -> None:
    subject = Subject(LinearRisk(), Mode.SHADOW)
    subject.say(feature(), 20)
    decision = subject.say(feature(pictures=9.0), 10)
    assert (decision.reason, decision.would, decision.changed) == (Reason.SHADOW, Reason.NOVEL, False)
    assert decision.action[0] == pytest.approx(1.0) and decision.would_action is not None
    assert decision.would_action[0] < 1.0


def test_latents_of_another_bundle_are_not_measured() -> None:
    subject = Subject(LinearRisk())
    assert subject.say(feature(pictures=90.0), 20, "v2").reason is Reason.UNKNOWN_BUNDLE
    assert subject.say(feature()).reason is Reason.PASS
