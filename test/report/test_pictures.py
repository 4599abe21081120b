"""What the pictures show, by hand-computed places and colours."""

from __future__ import annotations

import numpy as np
import pytest

from safe_o2o_ros.report import style
from safe_o2o_ros.report.canvas import enlarged
from safe_o2o_ros.report.log import EpisodeLog
from safe_o2o_ros.report.scene import scene_view, things
from safe_o2o_ros.report.top_view import TOP_PX, TopView
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


def test_a_room_is_drawn_with_its_walls_furniture_and_the_legs_of_its_tables() -> None:
    view = scene_view("RoomNav", 2)
    assert (view.half_width_m, view.room_m) == (3.0, (2.5, 2.0))
    assert (view.goal_radius_m, view.robot_radius_m) == (0.4, 0.17)
    table = {"position": [1.0, 0.0], "yaw": np.pi / 2, "size": [0.5, 0.3, 0.7], "rgb": [0.5, 0.5, 0.5]}
    box = {"position": [-1.0, 0.0], "yaw": np.pi / 6, "size": [0.4, 0.2, 0.5], "rgb": [0.5, 0.5, 0.5]}
    drum = {"position": [0.0, 1.0], "size": [0.25, 0.5], "rgb": [0.5, 0.5, 0.5]}
    furniture = {"boxes": [box], "cylinders": [drum], "tables": [table]}
    cube, disc, top, *legs = things({"agent": [0.0, 0.0, 0.0], "furniture": furniture, "walls": {}})
    # The corner (0.4, 0.2) turned by 30 degrees.
    assert cube.corners()[0] == pytest.approx([-1.0 + 0.2464, 0.3732], abs=1e-4)
    assert (disc.x, disc.y, disc.half[0], disc.box) == (0.0, 1.0, 0.25, False)
    assert top.above and np.abs(top.corners() - (1.0, 0.0)).max(axis=0) == pytest.approx([0.3, 0.5])

    # The parts that the simulator makes of the same layout.
    pieces = pytest.importorskip("safe_o2o_ros.sim.room.pieces")
    solid = [s for p in pieces.read_furniture({"tables": [table]}) for s in p.solids() if s.solid]
    assert len(legs) == 4 and not any(leg.above for leg in legs)
    expected = sorted((s.x, s.y, s.half_x, s.half_y) for s in solid)
    assert np.allclose(sorted((t.x, t.y, *t.half) for t in legs), expected)


def test_a_floor_plan_without_pictures_shows_wall_furniture_and_floor_where_they_are() -> None:
    layout = {
        "goals": [[2.0, 1.5]],
        "furniture": {"boxes": [{"position": [-1.0, -1.0], "yaw": 0.0, "size": [0.5, 0.2, 0.4]}]},
    }
    rows = 3
    log = EpisodeLog(
        seed=0, period_s=0.1, goals=0, control_steps=rows, success=False, layout=layout,
        time_s=np.arange(rows) * 0.1, reward=np.zeros(rows), cost=np.zeros(rows),
        value=np.full(rows, np.nan), threshold=np.full(rows, np.nan), surprise=np.zeros(rows),
        nominal=np.zeros((rows, 2), np.float32), executed=np.zeros((rows, 2), np.float32),
        changed=np.zeros(rows, np.bool_), reason=["limits_only"] * rows,
        position=np.zeros((rows, 2)), yaw=np.zeros(rows), images={}, top=None,
    )  # fmt: skip
    view = scene_view("RoomNav", 2)
    picture = np.zeros((TOP_PX, TOP_PX, 3), np.uint8)
    TopView(log, view).draw(picture, 2, 0, 0)

    def colour(x: float, y: float) -> tuple[int, ...]:
        scale = TOP_PX / (2 * 2.7)  # 0.2 m beyond the longer wall
        return tuple(picture[int((2.7 - y) * scale), int((x + 2.7) * scale)].tolist())

    mixed = tuple(round(0.65 * 255 + 0.35 * c) for c in style.FURNITURE)
    assert colour(-1.3, -1.1) == colour(-0.7, -0.9) == mixed
    assert colour(-1.0, -0.7) == colour(1.0, 1.0) == style.WHITE
    # The rim of a line is smoothed.
    assert np.allclose(colour(0.5, -2.018), style.WALL, atol=60)
    assert np.allclose(colour(2.518, -1.0), style.WALL, atol=60)
    assert colour(0.0, 2.5) == (251, 250, 245)


def test_a_camera_image_is_enlarged_in_whole_pixels() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    big = enlarged(image, 6)
    assert (big[:3, :3] == image[0, 0]).all() and (big[3:, 3:] == image[1, 1]).all()
