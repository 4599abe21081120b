"""What the pictures show, by hand-computed places and colours."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import pytest

from safe_o2o_ros.report import style
from safe_o2o_ros.report.canvas import enlarged
from safe_o2o_ros.report.log import EpisodeLog
from safe_o2o_ros.report.panels import Commands
from safe_o2o_ros.report.scene import plan_half_width, plan_window, scene_view
from safe_o2o_ros.report.things import Outline, goal_places, things
from safe_o2o_ros.report.top_view import TOP_PX, TopView
from safe_o2o_ros.types import BRAKE_REASONS, Reason


@pytest.fixture
def make_log() -> Any:
    """An episode of three ticks that stands still, with changes."""
    rows = 3
    log = EpisodeLog(
        seed=0, period_s=0.1, goals=0, control_steps=rows, success=False, layout={},
        time_s=np.arange(rows) * 0.1, reward=np.zeros(rows), cost=np.zeros(rows),
        value=np.full(rows, np.nan), threshold=np.full(rows, np.nan), surprise=np.zeros(rows),
        nominal=np.zeros((rows, 2), np.float32), executed=np.zeros((rows, 2), np.float32),
        changed=np.zeros(rows, np.bool_), reason=["limits_only"] * rows,
        position=np.zeros((rows, 2)), yaw=np.zeros(rows), images={}, top=None,
    )  # fmt: skip
    return functools.partial(dataclasses.replace, log)


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


@pytest.mark.parametrize(
    ("task", "variant", "key", "outline"),
    [
        ("PointGoal1", None, "hazards", Outline((0.2, 0.2))),
        ("PointGoal1", None, "vases", Outline((0.1, 0.1), box=True)),
        # Squares of a disc's area: half the side is sqrt(pi) / 2 of the radius.
        ("PointGoal2", "obstacle_shape", "hazards", Outline((0.17725, 0.17725), box=True)),
        ("CarGoal2", "moving_hazards", "hazards", Outline((0.2, 0.2), track_m=0.2)),
        ("PointPush1", None, "hazards", Outline((0.3, 0.3))),
        ("PointPush1", "obstacle_shape", "hazards", Outline((0.26587, 0.26587), box=True)),
        ("PointPush1", None, "pillars", Outline((0.2, 0.2))),
        ("PointPush1", None, "box", Outline((0.2, 0.2), box=True, post_m=0.1)),
        ("PointButton1", None, "buttons", Outline((0.1, 0.1))),
        ("PointButton1", None, "gremlins", Outline((0.1, 0.1), True, 0.35, np.pi / 2)),
    ],
)
def test_objects_have_the_shapes_and_sizes_of_the_simulated_ones(
    task: str, variant: str | None, key: str, outline: Outline
) -> None:
    found = scene_view(task, 2, variant).outlines[key]
    assert (found.box, found.track_m, found.track_start, found.post_m) == (
        outline.box, outline.track_m, outline.track_start, outline.post_m,
    )  # fmt: skip
    assert found.half == pytest.approx(outline.half, abs=1e-5)


def test_only_a_goal_that_looks_square_is_drawn_square() -> None:
    assert scene_view("PointGoal1", 2).goal_half_m is None
    view = scene_view("PointGoal1", 2, "goal_shape")
    assert view.goal_half_m == pytest.approx(0.3 * np.sqrt(np.pi) / 2) and view.goal_radius_m == 0.3
    # A variant nobody knows changes nothing.
    assert scene_view("PointGoal1", 2, "lava").outlines == scene_view("PointGoal1", 2).outlines


def test_what_goes_round_is_drawn_where_it_starts_with_its_circle() -> None:
    layout = {
        "hazards": [[1.0, 1.0]],
        "hazards_yaw": [np.pi],
        "gremlins": [[0.0, 0.0]],
        "gremlins_yaw": [0.7],
    }
    outlines = {
        "hazards": Outline((0.2, 0.2), track_m=0.5),
        "gremlins": Outline((0.1, 0.1), True, 0.35, np.pi / 2),
    }
    hazard, gremlin = things(layout, outlines)
    assert (hazard.x, hazard.y) == pytest.approx((0.5, 1.0)) and hazard.track == (1.0, 1.0, 0.5)
    assert (gremlin.x, gremlin.y) == pytest.approx((0.0, 0.35)) and gremlin.track == (0.0, 0.0, 0.35)
    assert gremlin.yaw == 0.7


def test_moving_things_start_where_the_simulator_has_them() -> None:
    from safe_o2o_ros.sim.make import make_env

    env = make_env("PointButton1", 4, (), "moving_hazards")
    _, info = env.reset(seed=10_000)
    drawn = list(things(info["layout"], scene_view("PointButton1", 2, "moving_hazards").outlines))
    hazards = np.array([(t.x, t.y) for t in drawn if t.label == "hazard"])
    np.testing.assert_allclose(hazards, env.privileged_state().hazards, atol=1e-9)
    # Gremlins are pulled onto their circles within the first periods, and have hardly gone on by then.
    for _ in range(3):
        env.step(np.zeros(2, np.float32))
    gremlins = np.array([(t.x, t.y) for t in drawn if t.label == "gremlin"])
    np.testing.assert_allclose(gremlins, env.privileged_state().gremlins, atol=0.1)
    env.close()


def test_a_pushed_box_has_posts_on_its_corners() -> None:
    layout = {"box": [1.0, 0.0], "box_yaw": np.pi / 2}
    box, *posts = things(layout, {"box": Outline((0.2, 0.2), box=True, post_m=0.1)})
    assert box.half == (0.2, 0.2) and {post.half for post in posts} == {(0.1, 0.1)}
    assert sorted((round(p.x, 6), round(p.y, 6)) for p in posts) == [
        (0.8, -0.2), (0.8, 0.2), (1.2, -0.2), (1.2, 0.2),
    ]  # fmt: skip


def test_goals_are_places_or_the_buttons_in_their_order() -> None:
    assert goal_places({"goals": [[1.0, 2.0], [3.0, 4.0]]}) == [(1.0, 2.0), (3.0, 4.0)]
    buttons = {"buttons": [[0.0, 1.0], [2.0, 3.0]], "goal_buttons": [1, 0, 1]}
    assert goal_places(buttons) == [(2.0, 3.0), (0.0, 1.0), (2.0, 3.0)]


def test_a_plan_holds_arena_and_path_and_is_no_wider_than_that(make_log: Any) -> None:
    view = scene_view("PointGoal1", 2)
    near = make_log(position=np.zeros((3, 2)))
    assert plan_window(near, view) == (0.0, 0.0, 2.0) and plan_half_width(near, view) == 2.0
    far = make_log(position=np.array([(0.0, 0.0), (5.75, 1.0), (1.0, -1.0)]))
    # x from -2 to 6: centre 2, half of 8; around the origin it would be 6.
    assert plan_window(far, view) == (2.0, 0.0, 4.0) and plan_half_width(far, view) == 6.0


def test_commands_of_wheels_are_drawn_as_forward_and_turn(make_log: Any) -> None:
    log = make_log(nominal=np.array([(0.02, 0.02), (0.02, -0.02), (0.01, 0.0)], np.float32))
    car, point = scene_view("CarGoal2", 2), scene_view("PointGoal1", 2)
    full = Commands.SIZE / 2 - 28
    arrows = [Commands(log, car)._arrow(a) / full for a in Commands(log, car)._nominal]
    # Picture axes: left is -x, forward is -y.
    np.testing.assert_allclose(arrows, [(0.0, -1.0), (-1.0, 0.0), (-0.25, -0.25)], atol=1e-6)
    np.testing.assert_allclose(Commands(log, point)._nominal[0], (0.4, 0.02))


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


def test_a_floor_plan_without_pictures_shows_wall_furniture_and_floor_where_they_are(make_log: Any) -> None:
    layout = {
        "goals": [[2.0, 1.5]],
        "furniture": {"boxes": [{"position": [-1.0, -1.0], "yaw": 0.0, "size": [0.5, 0.2, 0.4]}]},
    }
    log = make_log(layout=layout)
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
