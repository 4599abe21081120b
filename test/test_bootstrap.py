"""Bootstrap intervals against what can be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from safe_o2o_ros.bootstrap import difference_interval, mean_interval
from safe_o2o_ros.errors import UsageError


def test_equal_values_leave_no_doubt() -> None:
    assert mean_interval([3.0] * 7) == (3.0, 3.0)


def test_two_values_by_hand() -> None:
    # Means 0, 1/2, 1 with chances 1/4, 1/2, 1/4: 95 % reach the values, the inner 40 % are all 1/2.
    assert mean_interval([0.0, 1.0]) == (0.0, 1.0)
    assert mean_interval([0.0, 1.0], level=0.4) == (0.5, 0.5)


def test_three_values_by_hand() -> None:
    # Of 27 resamples 8, 12, 6, 1 have the means 0, 1, 2, 3: 20 % of them end at 0 and 80 % at 2.
    assert mean_interval([0.0, 0.0, 3.0], level=0.6) == pytest.approx((0.0, 2.0))
    # Sums of (0, 1, 2) below 1: 1/27 = 3.7 %, below 2: 4/27 = 14.8 %; the ends of 85 % are at 7.5 %.
    assert mean_interval([0.0, 1.0, 2.0], level=0.85) == pytest.approx((1.0 / 3.0, 5.0 / 3.0))


def test_many_values_agree_with_the_normal_interval_and_a_higher_level_is_wider() -> None:
    values = np.random.default_rng(1).normal(5.0, 2.0, 400).tolist()
    half = 1.96 * float(np.std(values)) / math.sqrt(400)
    low, high = mean_interval(values) or (0.0, 0.0)
    assert (low, high) == pytest.approx((np.mean(values) - half, np.mean(values) + half), abs=0.02)
    wide = mean_interval(values, level=0.99)
    assert wide is not None and wide[0] < low and wide[1] > high


def test_the_same_seed_gives_the_same_interval_and_resamples_need_not_fill_a_chunk() -> None:
    values = [0.0, 1.0, 5.0, 2.0, 9.0]
    assert mean_interval(values, seed=3) == mean_interval(values, seed=3)
    assert mean_interval(values, resamples=37, seed=3) != mean_interval(values, resamples=37, seed=4)


def test_pairs_cancel_what_their_episodes_have_in_common() -> None:
    easy_and_hard = np.random.default_rng(2).normal(0.0, 10.0, 50)
    better = easy_and_hard + 1.0
    assert difference_interval(better.tolist(), easy_and_hard.tolist()) == pytest.approx((1.0, 1.0))
    assert difference_interval([1.0, 5.0], [1.0, 1.0]) == (0.0, 4.0)
    low, high = difference_interval(easy_and_hard.tolist(), better.tolist()) or (0.0, 0.0)
    assert (low, high) == pytest.approx((-1.0, -1.0))


def test_one_episode_has_no_interval() -> None:
    assert mean_interval([1.0]) is None and difference_interval([], []) is None


def test_what_makes_no_sense_is_named() -> None:
    with pytest.raises(UsageError, match="2 and 1 episodes cannot be paired"):
        difference_interval([1.0, 2.0], [1.0])
    with pytest.raises(UsageError, match="finite"):
        mean_interval([1.0, math.nan])
    with pytest.raises(UsageError, match=r"level in \(0, 1\)"):
        mean_interval([1.0, 2.0], level=95.0)
