"""Adapters: the three action spaces and back, by hand and for every float."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_o2o_ros.robot import ADAPTERS, CAR, POINT, RobotAdapter

UNIT = st.floats(-1.0, 1.0, width=32)


def test_point_saturates_at_a_twentieth_of_its_forward_channel() -> None:
    raw = np.array([[0.025, 0.5], [0.06, 1.0], [-1.0, -0.25]], np.float32)
    expected = [[0.5, 0.5], [1.0, 1.0], [-1.0, -0.25]]
    np.testing.assert_allclose(POINT.effective(raw), expected, rtol=1e-6)


def test_raw_is_the_smallest_action_with_the_effect() -> None:
    np.testing.assert_allclose(POINT.raw(np.array([1.0, -1.0])), [0.05, -1.0])
    np.testing.assert_allclose(POINT.raw(np.array([-0.5, 0.25])), [-0.025, 0.25])
    np.testing.assert_allclose(POINT.raw(np.array([9.0, -9.0])), [0.05, -1.0])


def test_twist_of_the_point_by_hand() -> None:
    twist = POINT.to_twist(np.array([0.5, -1.0], np.float32))
    assert twist == {"linear.x": 0.75, "angular.z": -3.0}
    assert POINT.from_twist({"linear.x": 15.0, "angular.z": 1.5}).tolist() == [1.0, 0.5]


@given(st.tuples(UNIT, UNIT))
def test_a_twist_carries_an_action_bit_for_bit(action: tuple[float, float]) -> None:
    raw = np.array(action, np.float32)
    back = POINT.from_twist(POINT.to_twist(raw))
    assert back.dtype == np.float32 and np.array_equal(back, raw)


def test_steady_speeds_by_hand_saturate_before_wheels_are_mixed() -> None:
    np.testing.assert_allclose(POINT.steady_speed(np.array([[0.025, -0.5]])), [[0.75, -1.5]], rtol=1e-6)
    # Wheels at +1 and at +0.5 of what they can: three quarters of the speed, a quarter of the turn.
    np.testing.assert_allclose(CAR.steady_speed(np.array([1.0, 0.01])), [0.75 * 0.79, 0.25 * 1.35], rtol=1e-6)


@given(st.tuples(UNIT, UNIT))
def test_effective_undoes_raw(action: tuple[float, float]) -> None:
    effective = np.array(action, np.float32)
    np.testing.assert_allclose(POINT.effective(POINT.raw(effective)), effective, rtol=3e-7, atol=1e-38)


def test_a_non_finite_twist_stays_non_finite_so_that_the_filter_sees_it() -> None:
    assert np.isnan(POINT.from_twist({"linear.x": float("nan"), "angular.z": 0.0})[0])


@pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=list(ADAPTERS))
def test_known_adapters_keep_their_promises_and_survive_json(adapter: RobotAdapter) -> None:
    assert [sentence for sentence, holds in adapter.promises() if not holds] == []
    text = json.dumps(adapter.to_json(), allow_nan=False)  # infinite limits become null
    assert RobotAdapter.from_json(json.loads(text)) == adapter


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"scale": (1.0,)}, "one entry per action channel"),
        ({"scale": (0.0, 1.0)}, "scale"),
        ({"saturation": (0.0, 1.0)}, "saturation"),
        ({"saturation": (1.0, 1.5)}, "saturation"),
        ({"top_speed": (0.0, 1.0)}, "top_speed"),
        ({"time_constant_s": (0.5, -0.1)}, "time_constant_s"),
        ({"max_decel": (0.0, 1.0)}, "max_decel"),
        ({"brake": "anchor"}, "brake"),
        ({"time_constant_s": (0.0, 0.1)}, "reverse_thrust"),
    ],
)
def test_an_impossible_adapter_names_the_broken_promise(change: dict[str, object], word: str) -> None:
    broken = [sentence for sentence, holds in replace(POINT, **change).promises() if not holds]
    assert len(broken) == 1 and word in broken[0]


def test_in_a_mirror_turns_change_their_sign_and_wheels_their_places() -> None:
    actions = np.array([[0.5, -0.25], [1.0, 0.75]], np.float32)
    assert POINT.mirrored(actions).tolist() == [[0.5, 0.25], [1.0, -0.75]]
    assert CAR.mirrored(actions).tolist() == [[-0.25, 0.5], [0.75, 1.0]]
