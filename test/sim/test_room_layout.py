"""Rooms: what is given is kept, what is missing is drawn so that a robot can drive it."""

import itertools
import json
import math

import numpy as np
import pytest

from safe_o2o_ros.errors import LayoutError
from safe_o2o_ros.sim.room.geometry import Footprint, Shapes
from safe_o2o_ros.sim.room.layout import GOAL_RADIUS_M, HALF_SIZE_M, make_layout, sees_goal

RADIUS = 0.17
BOX = {"position": [0.5, 0.0], "yaw": 0.3, "size": [0.2, 0.1, 0.5], "rgb": [0.2, 0.4, 0.6]}
EMPTY = {"agent": [-1, 0, 0], "goals": [[1, 0]], "furniture": {}}


def drawn(seed, given=None):
    return make_layout(given, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def rooms():
    return [drawn(seed) for seed in range(100)]


def test_at_least_half_of_the_starts_hide_the_goal(rooms):
    hidden = [not sees_goal(r.obstacles(), r.agent, r.goal) for r, _ in rooms]
    assert 50 <= sum(hidden) <= 75


def test_rooms_hold_6_to_10_pieces_of_all_kinds_inside_the_walls(rooms):
    assert {len(r.pieces) for r, _ in rooms} == {6, 7, 8, 9, 10}
    assert {p.kind for r, _ in rooms for p in r.pieces} == {"boxes", "cylinders", "tables"}
    for room, _ in rooms:
        for part in room.obstacles():
            corners = np.array(
                list(itertools.product((-part.half_x, part.half_x), (-part.half_y, part.half_y)))
            )
            cos, sin = math.cos(part.yaw), math.sin(part.yaw)
            if part.kind == "box":
                corners = corners @ np.array([[cos, sin], [-sin, cos]])
            assert (np.abs(corners + (part.x, part.y)) < HALF_SIZE_M).all()


def test_pieces_do_not_touch_each_other(rooms):
    angle = np.linspace(0, 2 * np.pi, 400)
    for room, _ in rooms[:30]:
        for a, b in itertools.permutations([p.outline() for p in room.pieces], 2):
            rim = np.stack([np.cos(angle), np.sin(angle)], axis=1)
            if a.kind == "box":
                rim = rim / np.abs(rim).max(axis=1, keepdims=True)
            rim = rim * (a.half_x, a.half_y)
            cos, sin = math.cos(a.yaw), math.sin(a.yaw)
            rim = rim @ np.array([[cos, sin], [-sin, cos]]) + (a.x, a.y)
            assert Shapes([b]).distance(rim).min() > 0.0


def test_start_and_goal_stand_clear_and_apart(rooms):
    for room, _ in rooms:
        start, goal = Footprint(room.obstacles(), HALF_SIZE_M).distance(np.array([room.agent[:2], room.goal]))
        assert start >= RADIUS + 0.15
        assert goal >= GOAL_RADIUS_M + 0.2
        assert math.dist(room.agent[:2], room.goal) >= 1.2


def test_a_path_of_comfortable_width_joins_start_and_goal(rooms):
    """A flood fill of its own: every cell of the way keeps robot radius + 0.08 m."""
    step = 0.05
    nx, ny = (int(v) for v in np.round(2 * HALF_SIZE_M / step))
    x, y = (step * (np.arange(n) - (n - 1) / 2) for n in (nx, ny))
    cells = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    for room, _ in rooms[:25]:
        wide = (Footprint(room.obstacles(), HALF_SIZE_M).distance(cells) >= RADIUS + 0.08).reshape(ny, nx)

        def cell(point, wide=wide):
            return tuple(((np.asarray(point) + HALF_SIZE_M) / step).astype(int)[::-1])

        todo, seen = [cell(room.agent[:2])], set()
        while todo:
            r, c = todo.pop()
            if (r, c) in seen or not (0 <= r < ny and 0 <= c < nx and wide[r, c]):
                continue
            seen.add((r, c))
            todo += [(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)]
        assert cell(room.goal) in seen


def test_rooms_differ_and_the_same_seed_gives_the_same_room(rooms):
    assert len({json.dumps(r.to_json()) for r, _ in rooms}) == 100
    assert {r.walls.pattern for r, _ in rooms} == {"plain", "checker", "stripes", "gradient"}
    assert drawn(7)[0] == drawn(7)[0] == rooms[7][0]


def test_no_colour_comes_near_the_goals(rooms):
    for room, _ in rooms:
        colours = [p.rgb for p in room.pieces] + [room.walls.rgb1, room.walls.rgb2, room.floor.rgb1]
        # Magenta: red and blue high, green 0.
        assert all(min(r, b) - g < 0.5 for r, g, b in colours)


def test_a_layout_survives_json(rooms):
    for room, _ in rooms[:10]:
        again, _ = drawn(999, json.loads(json.dumps(room.to_json())))
        assert again == room


def test_what_is_given_is_kept_and_the_rest_is_drawn():
    given = {"goals": [[1.5, 1.0]], "furniture": {"boxes": [BOX]}}
    room, _ = drawn(3, given)
    assert room.goal == (1.5, 1.0)
    assert [p.to_json() for p in room.pieces] == [BOX]
    assert math.dist(room.agent[:2], room.goal) >= 1.2
    only_start, _ = drawn(3, {"agent": [0.0, 0.0, 1.0]})
    assert only_start.agent == (0.0, 0.0, 1.0)
    assert len(only_start.pieces) >= 6


def test_a_table_is_four_legs_and_a_top():
    table = {"position": [1.0, 0.0], "yaw": math.pi / 2, "size": [0.4, 0.3, 0.6], "rgb": [0.5, 0.5, 0.5]}
    room, _ = drawn(0, {**EMPTY, "agent": [-1, 0, 0], "goals": [[-1, 1.5]], "furniture": {"tables": [table]}})
    *legs, top = room.obstacles()
    # Turned by 90 degrees its length of 0.8 m lies along y; legs are 0.05 m wide, 0.01 m inside the edge.
    assert sorted((round(p.x, 6), round(p.y, 6)) for p in legs) == [
        (0.735, -0.365),
        (0.735, 0.365),
        (1.265, -0.365),
        (1.265, 0.365),
    ]
    assert all(p.solid and p.half_x == p.half_y == 0.025 and p.bottom_m == 0.0 for p in legs)
    assert (top.solid, top.height_m, top.bottom_m) == (False, 0.6, pytest.approx(0.56))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hazards": []}, "hazards"),
        ({"agent": [0, 0]}, "agent"),
        ({"agent": [0, 0, math.nan]}, "agent"),
        ({"agent": [2.4, 0, 0]}, "agent is 0.100 m"),
        ({"goals": []}, "goals"),
        ({"goals": [[0, 0], [1, 1]]}, "goals"),
        ({"goals": [[2.3, 0]]}, "goals is 0.200 m"),
        ({"furniture": []}, "furniture"),
        ({"furniture": {"sofas": []}}, "sofas"),
        ({"furniture": {"boxes": BOX}}, "list"),
        ({"furniture": {"boxes": [{**BOX, "colour": 1}]}}, "colour"),
        ({"furniture": {"boxes": [{"position": [0, 0]}]}}, "lacks size, rgb"),
        ({"furniture": {"boxes": [{**BOX, "size": [0.2, 0.1, 0.1]}]}}, "height"),
        ({"furniture": {"boxes": [{**BOX, "size": [0.2, -0.1, 0.5]}]}}, "size"),
        ({"furniture": {"boxes": [{**BOX, "rgb": [0, 0, 255]}]}}, "0 to 1"),
        ({"furniture": {"boxes": [{**BOX, "position": ["a", 0]}]}}, r"boxes\[0\].position"),
        ({"walls": {"pattern": "tartan", "rgb1": [0, 0, 0], "rgb2": [0, 0, 0]}}, "tartan"),
        ({"floor": {"pattern": "plain"}}, "lacks rgb1, rgb2"),
    ],
)
def test_bad_layouts_are_refused_by_name(change, words):
    with pytest.raises(LayoutError, match=words):
        drawn(0, {**EMPTY, **change})


def test_a_layout_without_a_path_is_refused():
    screen = {**BOX, "position": [0, 0], "yaw": 0.0, "size": [0.05, 1.99, 0.5]}
    with pytest.raises(LayoutError, match="No free path"):
        drawn(0, {**EMPTY, "furniture": {"boxes": [screen]}})
    full = {**BOX, "position": [0, 0], "yaw": 0.0, "size": [2.4, 1.9, 0.5]}
    with pytest.raises(LayoutError, match="No room"):
        drawn(0, {"furniture": {"boxes": [full]}})
