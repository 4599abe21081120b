"""The path the robot took."""

from __future__ import annotations

import math

import numpy as np

from safe_o2o_ros.monitor.palette import CHANGE, PASS, STOP
from safe_o2o_ros.monitor.trail import Pose, Trail


def drive(trail: Trail, places: list[float], reason: str = "pass") -> None:
    for i, x in enumerate(places):
        trail.add(Pose(i, x, 0.0, 0.0), reason)


def xs(trail: Trail) -> list[float]:
    return [pose.x for pose in trail.newest(1000)]


def test_poses_closer_than_the_spacing_are_left_out() -> None:
    trail = Trail(10, spacing_m=0.1)
    drive(trail, [0.0, 0.05, 0.1, 0.15, 0.2])
    assert xs(trail) == [0.0, 0.1, 0.2]


def test_a_change_of_the_answer_is_kept_however_near() -> None:
    trail = Trail(10, spacing_m=0.1)
    drive(trail, [0.0])
    drive(trail, [0.01], "substitute")
    drive(trail, [0.02], "substitute")
    assert xs(trail) == [0.0, 0.01]


def test_the_oldest_poses_are_forgotten() -> None:
    trail = Trail(3, spacing_m=0.1)
    drive(trail, [0.0, 0.2, 0.4, 0.6])
    assert xs(trail) == [0.2, 0.4, 0.6]
    assert trail.added == 4


def test_a_jump_starts_anew() -> None:
    trail = Trail(10, jump_m=0.5)
    drive(trail, [0.0, 0.2, 5.0, 5.1])
    assert xs(trail) == [5.0, 5.1]


def test_a_pose_with_nan_is_refused_and_counted() -> None:
    trail = Trail(10)
    drive(trail, [0.0, math.nan, math.inf, 0.2])
    assert xs(trail) == [0.0, 0.2]
    assert trail.dropped == 2


def test_the_path_has_the_colours_of_the_answers_and_a_dot_where_the_filter_began_to_act() -> None:
    trail = Trail(10)
    drive(trail, [0.0, 0.1])
    drive(trail, [0.2, 0.3], "escape")
    drive(trail, [0.4])
    drive(trail, [0.5], "stale")
    drive(trail, [0.51], "stale")
    path, dots = trail.shapes()
    wanted = [PASS, PASS, CHANGE, CHANGE, PASS, STOP, STOP]
    assert [tuple(c) for c in path.colours] == wanted
    assert np.allclose(path.points[:, 0], [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.51])
    assert [tuple(c) for c in dots.colours] == [CHANGE, STOP]
    assert np.allclose(dots.points[:, 0], [0.2, 0.5])


def test_a_single_pose_is_no_path() -> None:
    trail = Trail(10)
    drive(trail, [0.0])
    assert trail.shapes() == []
