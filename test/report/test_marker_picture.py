"""Markers from above: colours at places worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from visualization_msgs.msg import Marker, MarkerArray

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.monitor.overlay import FilterState, Snapshot, overlay
from safe_o2o_ros.monitor.palette import CHANGE, PASS, STOP
from safe_o2o_ros.monitor.shapes import RGBA, Kind, shape
from safe_o2o_ros.nodes.marker_messages import to_markers
from safe_o2o_ros.report.marker_picture import BACKGROUND, View, blank, draw_markers
from safe_o2o_ros.robot import POINT

VIEW = View(size=400, width_m=4.0)
"""100 pixels a metre, base_link in the middle."""
STATE = FilterState("substitute", "filter", "policy", "", 0.75, 0.5, "tiny-1", "point")


def picture_of(shapes, view=VIEW):
    picture = blank(view)
    draw_markers(picture, view, to_markers(shapes, "base_link", 0.5))
    return picture


def at(picture, x, y):
    """The colour at x metres ahead and y metres to the left."""
    return tuple(int(c) for c in picture[round(200 - 100 * x), round(200 - 100 * y)])


def rgb(colour: RGBA):
    return tuple(round(255 * c) for c in colour[:3])


def test_x_is_up_and_y_is_to_the_left():
    box = shape("b", Kind.BOX, np.array([1.0, 0.5, 0.0]), (0.4, 0.2, 0.1), STOP)
    picture = picture_of([box])
    assert at(picture, 1.0, 0.5) == rgb(STOP)
    # 0.4 m long ahead, 0.2 m wide.
    assert at(picture, 1.17, 0.5) == rgb(STOP)
    assert at(picture, 1.23, 0.53) == BACKGROUND
    assert at(picture, 1.03, 0.63) == BACKGROUND
    assert at(picture, -1.03, -0.53) == BACKGROUND


def test_a_turned_view_has_its_direction_up():
    box = shape("b", Kind.BOX, np.array([0.0, 1.0, 0.0]), (0.2, 0.2, 0.1), STOP)
    picture = picture_of([box], replace(VIEW, yaw=np.pi / 2.0))
    assert at(picture, 1.0, 0.0) == rgb(STOP)


def test_a_line_takes_the_colour_of_each_of_its_points():
    points = np.array([(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (1.0, 1.0, 0.0)])
    line = shape("l", Kind.LINE_STRIP, points, (0.06, 0.0, 0.0), np.array([PASS, PASS, STOP]))
    picture = picture_of([line])
    assert at(picture, 0.53, 0.0) == rgb(PASS)
    assert at(picture, 1.0, 0.53) == rgb(STOP)


def test_what_stands_higher_covers_what_lies_lower():
    low = shape("low", Kind.BOX, np.array([0.0, 0.0, 0.0]), (0.5, 0.5, 0.0), PASS)
    high = shape("high", Kind.BOX, np.array([0.0, 0.0, 0.3]), (0.2, 0.2, 0.0), STOP)
    picture = picture_of([high, low])
    assert at(picture, 0.0, 0.0) == rgb(STOP)
    assert at(picture, 0.2, 0.2) == rgb(PASS)


def test_the_robots_picture_shows_what_was_asked_what_was_done_and_the_value():
    snapshot = Snapshot(
        adapter=POINT,
        state=STATE,
        nominal=np.array([0.04, 0.0], np.float32),
        executed=np.array([-0.02, 0.0], np.float32),
        value=0.75,
    )
    picture = picture_of(overlay(snapshot))
    # Asked to go ahead: 1.2 m/s for 1.5 s. Told to go back: orange, behind.
    ahead, behind = at(picture, 1.03, 0.0), at(picture, -0.53, 0.0)
    assert min(ahead) > 120
    assert behind == rgb(CHANGE)
    # The ring around the base, 0.2 m, and the bar to its left: 0.36 m, from -0.4 to +0.2 m, tick at 0.
    assert at(picture, 0.0, -0.2) == rgb(CHANGE)
    assert at(picture, 0.12, 0.36) == rgb(PASS)
    assert at(picture, 0.0, 0.36) == (255, 255, 255)
    assert max(at(picture, 0.33, 0.36)) < 40


def test_words_are_drawn():
    words = shape("w", Kind.TEXT, np.array([0.0, 0.0, 0.0]), (0.0, 0.0, 0.3), (1.0, 1.0, 1.0, 1.0), "STOP")
    picture = picture_of([words])
    assert (picture[170:230, 120:280].min(axis=2) > 200).sum() > 200


def test_a_marker_it_cannot_draw_is_an_error_and_a_deletion_is_nothing():
    picture = blank(VIEW)
    before = picture.copy()
    draw_markers(picture, VIEW, MarkerArray(markers=[Marker(action=Marker.DELETEALL)]))
    assert np.array_equal(picture, before)
    with pytest.raises(UsageError, match="type 10"):
        draw_markers(picture, VIEW, MarkerArray(markers=[Marker(type=Marker.MESH_RESOURCE, ns="m")]))
