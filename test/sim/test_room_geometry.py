"""Clearances, lines of sight and shortest paths in rooms, against numbers worked out by hand."""

import math

import numpy as np
import pytest

from safe_o2o_ros.sim.robots import ROOM_ROBOT, CameraPose
from safe_o2o_ros.sim.room.geodesic import PathMap
from safe_o2o_ros.sim.room.geometry import Footprint, Shapes
from safe_o2o_ros.sim.room.sight import goal_in_sight
from safe_o2o_ros.sim.room.state import Obstacle

HALF = np.array([2.5, 2.0])


def box(x, y, half_x, half_y, height=1.0, yaw=0.0, **kwargs):
    return Obstacle("box", x, y, yaw, half_x, half_y, height, **kwargs)


def cylinder(x, y, radius, height=1.0):
    return Obstacle("cylinder", x, y, 0.0, radius, radius, height)


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ((1.0, 0.0), 0.7),  # beside a side
        ((0.6, 0.5), 0.5),  # off a corner at (0.3, 0.1): 3-4-5
        ((0.3, 0.1), 0.0),
        ((0.0, 0.0), -0.1),  # inside: to the nearer side
    ],
)
def test_distance_to_a_box(point, expected):
    shapes = Shapes([box(0.0, 0.0, 0.3, 0.1)])
    assert shapes.distance(np.array([point]))[0] == pytest.approx(expected, abs=1e-12)


def test_distance_to_a_turned_box_is_measured_in_its_own_axes():
    # Turned by 90 degrees its long side lies along y.
    shapes = Shapes([box(1.0, 1.0, 0.3, 0.1, yaw=math.pi / 2)])
    assert shapes.distance(np.array([[1.5, 1.0], [1.0, 1.5]])) == pytest.approx([0.4, 0.2])
    # At 45 degrees a corner of a square points along x.
    diamond = Shapes([box(0.0, 0.0, 0.1, 0.1, yaw=math.pi / 4)])
    assert diamond.distance(np.array([[1.0, 0.0]]))[0] == pytest.approx(1 - 0.1 * math.sqrt(2))


def test_the_nearest_of_all_counts_and_tops_do_not():
    things = [
        cylinder(1.0, 0.0, 0.2),
        box(-1.0, 0.0, 0.1, 0.1),
        box(0.0, 0.0, 0.5, 0.5, solid=False, bottom_m=0.6),
    ]
    footprint = Footprint(things, HALF)
    points = np.array([[0.0, 0.0], [0.3, 0.0], [-0.5, 0.0], [0.0, 1.9], [-2.4, 0.0]])
    assert footprint.distance(points) == pytest.approx([0.8, 0.5, 0.4, 0.1, 0.1])


@pytest.mark.parametrize(
    ("thing", "height", "blocked"),
    [
        (box(1.0, 0.0, 0.1, 0.1, height=0.5), 0.25, True),
        (box(1.0, 0.0, 0.1, 0.1, height=0.2), 0.25, False),  # looks over it
        (box(1.0, 0.3, 0.1, 0.1), 0.25, False),  # beside the line
        (box(1.0, 0.0, 0.1, 0.1, bottom_m=0.4), 0.25, False),  # below the top
        (box(1.0, 0.0, 0.1, 0.1, bottom_m=0.4), 0.75, True),  # the line is at 0.5 m there
        (box(3.0, 0.0, 0.1, 0.1), 0.25, False),  # behind the target
        (cylinder(1.0, 0.09, 0.1), 0.25, True),
        (cylinder(1.0, 0.11, 0.1), 0.25, False),
        (cylinder(1.0, 0.0, 0.1, height=0.2), 0.25, False),
        (cylinder(2.2, 0.0, 0.1), 0.25, False),
    ],
)
def test_what_blocks_a_line_from_the_camera(thing, height, blocked):
    seen = Shapes([thing]).blocks(np.array([0.0, 0.0, 0.25]), np.array([[2.0, 0.0, height]]))
    assert seen.tolist() == [blocked]


@pytest.mark.parametrize(
    ("yaw", "seen"), [(0.0, True), (0.6, True), (1.5, False), (-1.5, False), (3.1, False)]
)
def test_a_camera_sees_the_goal_only_inside_its_picture(yaw, seen):
    camera = CameraPose((0.0, 0.0, 0.25), (0, -1, 0, 0, 0, 1))
    found = goal_in_sight([camera], Shapes([]), (0.0, 0.0, yaw), np.array([2.0, 0.0]), 0.15, 0.5)
    assert found is seen


def test_a_tall_box_hides_the_goal_and_a_low_or_narrow_one_does_not():
    def seen(thing):
        cameras = ROOM_ROBOT.cameras.values()
        return goal_in_sight(cameras, Shapes([thing]), (0.0, 0.0, 0.0), np.array([2.0, 0.0]), 0.15, 0.5)

    assert not seen(box(1.0, 0.0, 0.1, 0.3, height=0.9))
    assert seen(box(1.0, 0.0, 0.1, 0.3, height=0.3))
    assert seen(box(1.0, 0.0, 0.1, 0.04, height=0.9))


def paths(things, goal):
    return PathMap(Footprint(things, HALF).distance, HALF, np.array(goal), margin_m=0.2, tight_m=0.12)


def test_in_straight_sight_a_path_is_the_straight_line():
    found = paths([cylinder(0.0, 1.2, 0.2)], (-1.5, -0.5))
    for point in np.random.default_rng(0).uniform([-2.2, -1.7], [2.2, 0.0], (50, 2)):
        if math.dist(point, (-1.5, -0.5)) > 0.3:  # bilinear between cells: blunt at the very tip
            assert found.length(point) == pytest.approx(math.dist(point, (-1.5, -0.5)), abs=3e-3)


def test_around_a_screen_a_path_is_two_tangents_and_an_arc():
    # A thin screen from y = -2 to y = 0.5; the robot's centre rounds its end at 0.2 m.
    found = paths([box(0.0, -0.75, 1e-3, 1.25)], (-1.5, -0.5))
    far = math.hypot(1.5, 1.0)
    tangent = math.sqrt(far**2 - 0.2**2)
    turn = 2 * (math.atan2(1.0, 1.5) + math.asin(0.2 / far))
    exact = 2 * tangent + 0.2 * turn
    assert found.length(np.array([1.5, -0.5])) == pytest.approx(exact, rel=0.04)
    assert found.length(np.array([1.5, -0.5])) > exact - 0.02


def test_path_lengths_do_not_jump_wherever_the_robot_gets():
    rng = np.random.default_rng(1)
    things = [box(0.3, -0.4, 0.3, 0.5, yaw=0.4), cylinder(-1.0, 0.8, 0.2), box(1.5, 1.0, 0.025, 0.025)]
    found, footprint = paths(things, (-1.8, -1.2)), Footprint(things, HALF)
    starts = rng.uniform(-HALF, HALF, (4000, 2))
    ends = starts + rng.normal(0.0, 0.02, starts.shape)
    reachable = (footprint.distance(starts) > 0.165) & (footprint.distance(ends) > 0.165)
    assert reachable.sum() > 1500
    for a, b in zip(starts[reachable], ends[reachable], strict=True):
        # The slope is 1 at a distance from things and 3 next to them; interpolation adds to it.
        assert abs(found.length(a) - found.length(b)) <= 3.5 * math.dist(a, b) + 1e-5


def test_a_tight_gap_is_a_path_that_counts_threefold_and_a_closed_screen_is_none():
    # A screen across the room with a gap of 0.36 m: the robot fits, but not with the margin.
    tight = [box(0.0, -1.09, 0.05, 0.91), box(0.0, 1.09, 0.05, 0.91)]
    found = paths(tight, (-1.5, 0.0))
    assert found.reaches(np.array([1.5, 0.0]))
    # On the middle line the corners at (0.05, 0.18) are nearer than 0.2 m for |x| < 0.05 + 0.087, which
    # counts twice more; the cells, 0.025 m off that line and 0.05 m wide, make it longer.
    assert 3.0 + 4 * 0.137 <= found.length(np.array([1.5, 0.0])) <= 3.0 + 4 * (0.176 + 0.05)
    closed = paths([box(0.0, 0.0, 0.05, 2.0)], (-1.5, 0.0))
    assert not closed.reaches(np.array([1.5, 0.0]))
    assert closed.reaches(np.array([-1.5, 1.0]))
    assert math.isfinite(closed.length(np.array([1.5, 0.0])))


def test_pressed_against_a_thin_screen_the_length_is_that_of_its_own_side():
    found = paths([box(0.0, -0.75, 0.01, 1.25)], (-1.5, -0.5))
    beside, pressed = found.length(np.array([0.25, -0.5])), found.length(np.array([0.17, -0.5]))
    # The way round the screen's upper end is 1.0 m there and 1.8 m on.
    assert beside > 2.7
    assert pressed == pytest.approx(beside, abs=0.2)
