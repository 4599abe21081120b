"""What the pictures show, by hand-computed places and colours."""

from __future__ import annotations

import numpy as np
import pytest

from safe_o2o_ros.report import style
from safe_o2o_ros.report.canvas import enlarged
from safe_o2o_ros.report.scene import scene_view, things
from safe_o2o_ros.types import BRAKE_REASONS, Reason


def test_every_reason_has_a_band_and_braking_reasons_are_red() -> None:
    for reason in Reason:
        assert style.band_of(reason.value) is not None
        assert (style.band_of(reason.value) is style.BRAKE) == (reason in BRAKE_REASONS)
    assert style.band_of("new_reason").label == "new_reason"


def test_bands_differ_in_lightness_or_pattern() -> None:
    bands = [style.BRAKE, style.SUBSTITUTE, style.ESCAPE, style.PASS, style.SHADOW, style.LIMITS_ONLY]
    light = {b.label: np.dot((0.2126, 0.7152, 0.0722), b.colour) for b in bands}
    for a in bands:
        for b in bands:
            assert a is b or a.hatch != b.hatch or abs(light[a.label] - light[b.label]) > 8.0


def test_value_colours_darken_from_unsafe_to_safe_and_mark_missing_values() -> None:
    colours = style.value_colours(np.append(np.linspace(0.0, 1.0, 11), np.nan))
    lightness = colours[:11] @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(lightness) < 0).all()
    assert tuple(colours[11]) == style.UNKNOWN_VALUE


def test_runs_join_equal_neighbours() -> None:
    assert style.runs(["a", "a", "b", "a"]) == [(0, 2, "a"), (2, 3, "b"), (3, 4, "a")]
    assert style.runs([]) == []


def test_a_simulated_task_is_seen_half_a_metre_beyond_its_arena() -> None:
    view = scene_view("PointGoal1", 2)
    assert view.half_width_m == 2.0
    assert view.saturation.tolist() == [np.float32(0.05), 1.0]
    assert scene_view("a robot's task", 2).half_width_m is None


def test_the_view_from_above_shows_that_much() -> None:
    """The green goal lies where the picture's scale says."""
    gymnasium = pytest.importorskip("gymnasium")
    import safe_o2o_ros.sim  # noqa: F401  registers the tasks

    env = gymnasium.make("safe_o2o/PointGoal1-v0", cameras=())
    env.reset(seed=1, options={"layout": {"goals": [[1.0, -0.5]], "hazards": [], "vases": []}})
    image = env.unwrapped.render_top(256).astype(int)
    env.close()
    rows, columns = np.nonzero(image[..., 1] - image[..., 0] > 60)
    half = scene_view("PointGoal1", 2).half_width_m
    assert half is not None
    # The goal is a low cylinder: its top is nearer to the camera, hence the tolerance.
    x, y = columns.mean() / 256 * 2 * half - half, half - rows.mean() / 256 * 2 * half
    assert x == pytest.approx(1.0, abs=0.08) and y == pytest.approx(-0.5, abs=0.08)


def test_things_of_a_layout_are_listed_with_their_yaw_and_lists_that_are_no_places_are_left_out() -> None:
    layout = {
        "agent": [0.0, 0.0, 0.0],
        "goals": [[1.0, 1.0]],
        "hazards": [[0.5, 0.6]],
        "vases": [[0.1, 0.2], [0.3, 0.4]],
        "vases_yaw": [0.0, 1.5],
        "box": [0.7, 0.8],
        "goal_buttons": [1, 2, 3],
    }
    found = [(t.label, t.x, t.y, t.yaw) for t in things(layout)]
    assert found == [
        ("hazard", 0.5, 0.6, 0.0),
        ("vase", 0.1, 0.2, 0.0),
        ("vase", 0.3, 0.4, 1.5),
        ("box", 0.7, 0.8, 0.0),
    ]


def test_a_camera_image_is_enlarged_in_whole_pixels() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    big = enlarged(image, 6)
    assert (big[:3, :3] == image[0, 0]).all() and (big[3:, 3:] == image[1, 1]).all()
