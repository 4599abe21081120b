"""What is said of a camera from when its frames come."""

from __future__ import annotations

import pytest

from safe_o2o_ros.perception.arrivals import Arrivals

MS = 1_000_000


def fed(stamps_ms: list[int]) -> Arrivals:
    arrivals = Arrivals(0.0)
    for stamp in stamps_ms:
        arrivals.frame(stamp * MS, (stamp + 4) * MS, stamp / 1000.0)
    return arrivals


def test_rate_and_silence_are_of_the_last_seconds() -> None:
    arrivals = fed(list(range(0, 6000, 100)))
    assert arrivals.rate_hz(5.9) == pytest.approx(10.0, abs=0.4)
    assert arrivals.silent_s(7.9) == pytest.approx(2.0)
    assert arrivals.rate_hz(20.0) == 0.0


def test_before_the_first_frame_silence_counts_from_the_start() -> None:
    arrivals = Arrivals(3.0)
    assert arrivals.silent_s(5.0) == 2.0 and not arrivals.heard and arrivals.rate_hz(5.0) == 0.0


def test_the_age_of_a_frame_is_its_way_from_stamp_to_arrival() -> None:
    assert fed([0, 100]).age_s == pytest.approx(0.004)


def test_a_steady_camera_loses_nothing_and_gaps_are_counted_as_losses() -> None:
    assert fed(list(range(0, 3000, 33))).lost_share() == 0.0
    # Every third frame comes twice in a row, then one is missing: two of three.
    thinned = [33 * i for i in range(90) if i % 3]
    assert fed(thinned).lost_share() == pytest.approx(1 / 3, abs=0.02)


def test_a_pause_of_the_source_is_no_loss() -> None:
    assert fed([*range(0, 1000, 33), *range(5000, 6000, 33)]).lost_share() == 0.0


def test_few_frames_say_nothing_of_losses() -> None:
    assert fed([0, 33, 500]).lost_share() == 0.0


def test_a_stamp_that_repeats_is_a_drop_and_one_that_goes_back_a_jump() -> None:
    arrivals = fed([100, 200])
    assert not arrivals.frame(200 * MS, 300 * MS, 0.3)
    assert arrivals.dropped == {"repeated_stamp": 1}
    assert arrivals.frame(50 * MS, 60 * MS, 0.4)
    assert arrivals.clock_jumps == 1 and arrivals.lost_share() == 0.0
