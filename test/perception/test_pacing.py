"""The encoder steps once per control period, however fast its cameras are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_o2o_ros.perception.pacing import PeriodGrid

MS = 1_000_000


def taken(stamps_ms: list[int], period_s: float = 0.08) -> list[int]:
    grid = PeriodGrid(period_s)
    return [stamp for stamp in stamps_ms if grid.take(stamp * MS)]


def test_of_a_30_hz_camera_the_frame_nearest_to_each_period_is_taken() -> None:
    # Due at 80, 160, 240, 320, 400.
    stamps = [0, 33, 67, 100, 133, 167, 200, 233, 267, 300, 333, 367, 400]
    assert taken(stamps) == [0, 67, 167, 233, 333, 400]


def test_every_frame_of_a_camera_at_or_below_the_control_rate_is_taken() -> None:
    for gap in (80, 81, 100, 500):
        stamps = list(range(0, 20 * gap, gap))
        assert taken(stamps) == stamps


def test_after_a_pause_frames_are_not_taken_in_a_burst() -> None:
    assert taken([0, 20, 40, 60, 80, 1000, 1020, 1040, 1060, 1080]) == [0, 80, 1000, 1080]


def test_after_a_jump_back_of_the_clock_the_next_frame_is_taken() -> None:
    assert taken([5000, 5020, 100, 120, 140, 160, 180]) == [5000, 100, 180]


@given(st.integers(10, 80), st.integers(0, 2**32 - 1))
def test_the_rate_is_the_control_rate_for_any_faster_camera_with_jitter(gap: int, seed: int) -> None:
    jitter = np.random.default_rng(seed).uniform(-0.2, 0.2, 2000) * gap
    stamps = [round(i * gap + j) for i, j in enumerate(jitter)]
    assert len(taken(stamps)) / (2000 * gap / 80.0) == pytest.approx(1.0, abs=0.06)
