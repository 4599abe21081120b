"""A camera that sees something else than in training is named with both numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from safe_o2o_ros.manifest import View
from safe_o2o_ros.perception.views import fovy_problem, mount_problem, pose_in, transform_pose, view_pose

AHEAD = View(60.0, (0.2, 0.0, 0.3), (0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
FORWARD = (-0.5, 0.5, -0.5, 0.5)
"""Quaternion of an optical frame that looks along base_link's x."""


def test_a_camera_that_looks_ahead_has_the_optical_frame_of_rep_103() -> None:
    pose = view_pose(AHEAD)
    assert pose[:3, 0].tolist() == [0.0, -1.0, 0.0]  # right
    assert pose[:3, 1].tolist() == [0.0, 0.0, -1.0]  # down
    assert pose[:3, 2].tolist() == [1.0, 0.0, 0.0]  # ahead
    transform = transform_pose(AHEAD.position, FORWARD)
    assert transform is not None
    np.testing.assert_allclose(transform, pose, atol=1e-12)


def test_axes_of_any_length_mean_the_same_view() -> None:
    long = View(60.0, AHEAD.position, (0.0, -3.0, 0.0, 0.0, -0.5, 2.0))
    np.testing.assert_allclose(view_pose(long), view_pose(AHEAD), atol=1e-12)


def test_a_field_of_view_within_5_percent_is_the_same_and_beyond_both_numbers_are_named() -> None:
    assert fovy_problem("front", AHEAD, 62.9) == "" == fovy_problem("front", AHEAD, 57.1)
    sentence = fovy_problem("front", AHEAD, 45.0)
    assert "camera front sees 45.0 degrees" in sentence and "60.0" in sentence


def test_a_mount_elsewhere_is_named_with_both_places() -> None:
    moved = view_pose(AHEAD)
    moved[:3, 3] += [0.0, 0.0, 0.1]
    sentence = mount_problem("front", AHEAD, moved)
    assert "(0.20, 0.00, 0.40)" in sentence and "(0.20, 0.00, 0.30)" in sentence
    moved[:3, 3] -= [0.0, 0.0, 0.06]
    assert mount_problem("front", AHEAD, moved) == ""


def test_a_mount_that_looks_elsewhere_is_named_with_the_angle() -> None:
    half = math.radians(10.0) / 2
    # Turned left by 10 degrees about base_link's z, before the optical rotation.
    turn = transform_pose((0.0, 0.0, 0.0), (0.0, 0.0, math.sin(half), math.cos(half)))
    assert turn is not None
    turned = turn @ view_pose(AHEAD)
    turned[:3, 3] = AHEAD.position
    sentence = mount_problem("front", AHEAD, turned)
    assert "(0.98, 0.17, 0.00)" in sentence and "10.0 degrees" in sentence


@pytest.mark.parametrize("rotation", [(0.0, 0.0, 0.0, 0.0), (math.nan, 0.0, 0.0, 1.0)])
def test_a_transform_that_is_no_rotation_is_none(rotation: tuple[float, ...]) -> None:
    assert transform_pose((0.0, 0.0, 0.0), rotation) is None


def test_a_frame_is_found_through_its_parents_and_a_loop_or_gap_ends() -> None:
    quarter = transform_pose((1.0, 0.0, 0.0), (0.0, 0.0, math.sqrt(0.5), math.sqrt(0.5)))
    step = transform_pose((2.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    assert quarter is not None and step is not None
    parents = {"camera": ("mast", step), "mast": ("base_link", quarter), "a": ("b", step), "b": ("a", step)}
    pose = pose_in("base_link", "camera", parents)
    assert pose is not None
    # 1 m ahead, then, turned left by 90 degrees, 2 m along what is now y.
    np.testing.assert_allclose(pose[:3, 3], [1.0, 2.0, 0.0], atol=1e-12)
    assert pose_in("base_link", "a", parents) is None
    assert pose_in("base_link", "lost", parents) is None
