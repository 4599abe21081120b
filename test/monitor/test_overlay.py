"""What the picture around the robot shows, by hand-computed places and colours."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from safe_o2o_ros.monitor.overlay import FilterState, Snapshot, candidate_colours, overlay
from safe_o2o_ros.monitor.palette import CHANGE, OFF, OPERATOR, PASS, STOP, UNPROTECTED, reason_colour
from safe_o2o_ros.monitor.shapes import Kind, Shape, drawable
from safe_o2o_ros.robot import POINT
from safe_o2o_ros.types import BRAKE_REASONS, Reason

DRIVING = Snapshot(
    adapter=POINT,
    state=FilterState("pass", "filter", "policy", "", 0.75, 0.5, "tiny-1", "point"),
    nominal=np.array([0.05, 0.0], np.float32),
    executed=np.array([0.05, 1.0], np.float32),
    candidates=np.array([[0.05, 0.0, 0.1], [0.0, 1.0, 0.9]], np.float32),
    value=0.75,
)


def named(snapshot: Snapshot) -> dict[str, Shape]:
    return {shape.name: shape for shape in overlay(snapshot)}


def test_reasons_are_red_for_a_stop_orange_for_a_change_green_for_a_pass_blue_for_the_operator() -> None:
    assert {reason_colour(r.value) for r in BRAKE_REASONS - {Reason.DISABLED}} == {STOP}
    assert {reason_colour(r) for r in ("substitute", "escape")} == {CHANGE}
    assert reason_colour("pass") == PASS
    assert reason_colour("operator") == OPERATOR
    assert {reason_colour(r) for r in ("disabled", "")} == {OFF}


def test_what_passes_uncertified_is_not_green() -> None:
    assert {reason_colour(r) for r in ("shadow", "limits_only")} == {UNPROTECTED}


def test_an_unknown_reason_is_drawn_as_a_stop() -> None:
    assert reason_colour("something new") == STOP


def test_the_bar_is_as_long_as_the_value_and_its_tick_stands_at_the_threshold() -> None:
    shapes = named(DRIVING)
    bar, tick, track = shapes["value"], shapes["threshold"], shapes["value_track"]
    assert bar.scale[0] == pytest.approx(0.75 * 0.8)
    back = bar.points[0, 0] - 0.5 * bar.scale[0]
    assert back == pytest.approx(track.points[0, 0] - 0.4)
    assert tick.points[0, 0] == pytest.approx(back + 0.5 * 0.8)
    assert tuple(bar.colours[0]) == PASS
    below = named(replace(DRIVING, value=0.4))["value"]
    assert tuple(below.colours[0]) == CHANGE


def test_without_a_value_there_is_no_bar() -> None:
    state = replace(DRIVING.state, value=math.nan)
    assert not {"value", "value_track", "threshold"} & set(
        named(replace(DRIVING, state=state, value=math.nan))
    )


def test_commands_become_the_paths_they_lead_to_in_the_colour_of_the_answer() -> None:
    shapes = named(DRIVING)
    nominal, executed = shapes["nominal"], shapes["executed"]
    assert nominal.kind is Kind.LINE_STRIP
    # 1.5 m/s straight ahead for 1.5 s.
    assert nominal.points[-1, :2] == pytest.approx((2.25, 0.0))
    # The other turns left.
    assert executed.points[-1, 1] > 0.1
    assert tuple(executed.colours[0]) == PASS
    assert executed.points[0, 2] > nominal.points[0, 2]
    assert executed.scale[0] < nominal.scale[0]


def test_a_command_that_leads_nowhere_is_a_dot() -> None:
    shapes = named(replace(DRIVING, executed=POINT.zero()))
    assert shapes["executed"].kind is Kind.DOTS
    assert "executed_head" not in shapes


def test_candidates_are_one_fan_coloured_by_their_risk() -> None:
    shapes = named(DRIVING)
    fan, ends = shapes["candidates"], shapes["candidate_ends"]
    assert len(fan.points) == 2 * 10 * 2
    # The riskiest first, so that what is certified lies on top.
    assert tuple(ends.colours[1][:3]) == PASS[:3]
    red, green = ends.colours[0][:2]
    assert red > green


def test_candidate_colours_change_at_the_threshold_and_redden_with_the_risk() -> None:
    # Certified down to a value of 0.8: up to a risk of 0.2.
    certified, over, worst = candidate_colours(np.array([0.2, 0.21, 1.0]), 0.8)
    assert tuple(certified[:3]) == PASS[:3]
    assert over[1] > worst[1]
    assert tuple(worst[:3]) == STOP[:3]


def test_the_words_say_reason_input_value_mode_source_and_bundle() -> None:
    state = replace(DRIVING.state, reason="non_finite", late_input="latent")
    words = named(replace(DRIVING, state=state))["words"].text
    assert words.split("\n") == [
        "NON FINITE: latent",
        "value 0.75 (min 0.50)",
        "filter · policy",
        "tiny-1",
    ]


def test_shadow_mode_is_said_aloud() -> None:
    state = replace(DRIVING.state, reason="shadow", mode="shadow")
    assert named(replace(DRIVING, state=state))["words"].text.startswith("SHADOW: NOT PROTECTED")
    # A brake in shadow mode is still a brake, and says both.
    state = replace(state, reason="stale", late_input="latent")
    assert named(replace(DRIVING, state=state))["words"].text.startswith("STALE: latent\nSHADOW: NOT PROT")


def test_a_fault_of_the_wiring_is_said_whatever_the_answer() -> None:
    state = replace(DRIVING.state, wiring="teleop publishes cmd_vel too")
    assert "WIRING: SEE DIAGNOSTICS" in named(replace(DRIVING, state=state))["words"].text


def test_without_word_from_the_filter_nothing_looks_safe() -> None:
    shapes = named(Snapshot(adapter=POINT))
    assert set(shapes) == {"base", "words"}
    assert tuple(shapes["base"].colours[0]) == OFF
    assert shapes["words"].text == "NO SAFETY STATE"


def test_what_holds_nan_is_dropped_and_counted_and_the_rest_stays() -> None:
    broken = replace(DRIVING, nominal=np.array([math.nan, 0.0], np.float32), value=math.inf)
    kept, dropped = drawable(overlay(broken))
    names = {shape.name for shape in kept}
    assert dropped == 2
    assert {"executed", "candidates", "base", "words"} <= names
    assert not {"nominal", "value"} & names
