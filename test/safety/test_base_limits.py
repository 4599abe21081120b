"""Limits of a base in Nav2's form, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.filters import WHEELED

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.robot import POINT
from safe_o2o_ros.safety.base_limits import negative_entries, positive_entries, tightened


def test_nothing_given_is_the_adapters_own() -> None:
    bounds = tightened(WHEELED)
    assert bounds.low.tolist() == [-1.0, -1.0] and bounds.high.tolist() == [1.0, 1.0]
    assert bounds.accel.tolist() == [1.0, 2.0] and bounds.decel.tolist() == [2.5, 5.0]


def test_metres_and_radians_become_shares_of_the_top_speed() -> None:
    # WHEELED drives 0.5 m/s and 1 rad/s at effective action 1.
    bounds = tightened(
        WHEELED,
        max_velocity=[0.2, 0.0, 0.75],
        min_velocity=[-0.1, 0.0, -0.5],
        max_accel=[0.25, 0.0, 1.0],
        max_decel=[-0.5, 0.0, -3.0],
    )
    np.testing.assert_allclose(bounds.high, [0.4, 0.75])
    np.testing.assert_allclose(bounds.low, [-0.2, -0.5])
    np.testing.assert_allclose(bounds.accel, [0.5, 1.0])
    np.testing.assert_allclose(bounds.decel, [1.0, 3.0])


def test_limits_never_widen_what_the_adapter_allows() -> None:
    bounds = tightened(
        WHEELED,
        max_velocity=[9.0, 9.0, 9.0],
        min_velocity=[-9.0, -9.0, -9.0],
        max_accel=[9.0, 9.0, 9.0],
        max_decel=[-9.0, -9.0, -9.0],
    )
    own = tightened(WHEELED)
    for name in ("low", "high", "accel", "decel"):
        assert np.array_equal(getattr(bounds, name), getattr(own, name))


def test_an_unlimited_base_gets_the_rates_that_are_given() -> None:
    bounds = tightened(POINT, max_accel=[1.5, 0.0, 3.0])
    assert bounds.accel.tolist() == [1.0, 1.0] and np.isinf(bounds.decel).all()


def test_a_channel_that_counts_backwards_swaps_forward_and_backward() -> None:
    mirrored = replace(WHEELED, scale=(-0.5, 1.0))
    bounds = tightened(mirrored, max_velocity=[0.2, 0.0, 1.0], min_velocity=[-0.1, 0.0, -1.0])
    np.testing.assert_allclose([bounds.low[0], bounds.high[0]], [-0.4, 0.2])


@pytest.mark.parametrize("name", ["max_accel", "max_decel"])
def test_a_rate_of_zero_on_a_driven_axis_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"'{name}' is 0 for angular.z"):
        tightened(WHEELED, **{name: [1.0, 0.0, 0.0] if name == "max_accel" else [-1.0, 0.0, 0.0]})


def test_wrong_signs_are_named() -> None:
    assert positive_entries([0.5, 0.0, 1.0]) == "" and negative_entries([-0.5, 0.0, -1.0]) == ""
    assert "0 or more" in positive_entries([0.5, 0.0, -1.0])
    assert "write it with a minus" in negative_entries([2.5, 0.0, 3.2])
    assert positive_entries([float("nan")]) and negative_entries([float("nan")])
