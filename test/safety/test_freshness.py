"""Late inputs by name, on a clock the test holds."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from safe_o2o_ros.safety.freshness import Freshness


def test_an_input_never_received_is_missing_and_late() -> None:
    fresh = Freshness({"latent": 0.5, "cmd_vel_nominal": 0.5})
    assert not fresh.received("latent") and fresh.late(0.0) == "latent"
    fresh.note("latent", 1, 10.0)
    assert fresh.received("latent") and fresh.late(10.0) == "cmd_vel_nominal"
    fresh.note("cmd_vel_nominal", 1, 10.0)
    assert fresh.received("cmd_vel_nominal") and fresh.late(10.0) == ""


def test_an_input_is_late_beyond_its_own_timeout_and_not_at_it() -> None:
    fresh = Freshness({"latent": 0.5, "operator": 0.125})
    fresh.note("latent", 1, 10.0)
    fresh.note("operator", 1, 10.25)
    assert fresh.late(10.375) == ""
    assert fresh.late(10.376) == "operator"
    assert fresh.late(10.501) == "latent"  # the first in order takes the blame
    assert fresh.ages_s(10.5) == {"latent": 0.5, "operator": 0.25}
    assert Freshness({"latent": 1.0}).ages_s(5.0) == {"latent": math.inf}


def test_a_frozen_stamp_ages_like_silence() -> None:
    fresh = Freshness({"latent": 0.5})
    assert fresh.note("latent", 7, 0.0)
    assert not fresh.note("latent", 7, 0.4)
    assert fresh.late(0.6) == "latent"
    assert fresh.note("latent", 8, 0.6)
    assert fresh.late(0.6) == ""


def test_a_restarted_source_may_begin_its_stamps_anew() -> None:
    fresh = Freshness({"latent": 0.5})
    fresh.note("latent", 1_000_000_000, 0.0)
    assert fresh.note("latent", 1, 1.0)
    assert fresh.late(1.4) == ""


@given(st.floats(0.01, 10.0), st.floats(0.0, 1e6), st.floats(0.0, 20.0))
def test_lateness_is_the_age_on_the_steady_clock_alone(timeout: float, start: float, age: float) -> None:
    fresh = Freshness({"latent": timeout})
    fresh.note("latent", 1, start)
    now = start + age
    assert (fresh.late(now) == "latent") == (now - start > timeout)
