"""A MarkerArray as a picture from above, as RViz's top-down view would show it. Imports no messages.

Knows the kinds of marker this package publishes; another kind is an error, so that none is silently left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.report import canvas
from safe_o2o_ros.report.canvas import Picture
from safe_o2o_ros.report.style import RGB

BACKGROUND: RGB = (48, 48, 48)
_GRID: RGB = (74, 74, 76)
_CUBE, _LINE_STRIP, _LINE_LIST, _SPHERE_LIST, _TEXT, _TRIANGLES = 1, 4, 5, 7, 9, 11
"""Values of visualization_msgs/Marker."""
_ADD = 0


@dataclass(frozen=True)
class View:
    """Where the picture looks: a square from above, x of the frame up, y to the left."""

    size: int
    """Pixels."""
    width_m: float
    centre: tuple[float, float] = (0.0, 0.0)
    """m, what is in the middle."""
    yaw: float = 0.0
    """rad, the direction in the frame that is up in the picture."""

    @property
    def scale(self) -> float:
        """Pixels per metre."""
        return self.size / self.width_m

    def pixels(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 2 or more) m to (N, 2) pixels."""
        offset = points[:, :2] - np.asarray(self.centre)
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        ahead = offset @ (cos, sin)
        left = offset @ (-sin, cos)
        return 0.5 * self.size - self.scale * np.column_stack([left, ahead])


def blank(view: View, grid_m: float = 0.5) -> Picture:
    """RViz's background with its grid."""
    picture = np.full((view.size, view.size, 3), BACKGROUND, np.uint8)
    reach = view.width_m
    for i in range(math.floor(-reach / grid_m), math.ceil(reach / grid_m) + 1):
        for axis in (0, 1):
            ends = np.full((2, 2), i * grid_m) + np.round(np.asarray(view.centre) / grid_m) * grid_m
            ends[:, axis] = view.centre[axis] + np.array([-reach, reach])
            canvas.lines(picture, view.pixels(ends), _GRID, 1)
    return picture


def draw_markers(picture: Picture, view: View, array: Any) -> None:
    """Draw a MarkerArray whose markers stand in the view's frame, the lowest first. Raises UsageError."""
    markers = [m for m in array.markers if m.action == _ADD]
    for marker in sorted(markers, key=_height):
        draw = _DRAW.get(marker.type)
        if draw is None:
            raise UsageError(
                f"marker '{marker.ns}' is of type {marker.type}: teach marker_picture.py to draw it"
            )
        draw(picture, view, marker)


def _height(marker: Any) -> float:
    return max([p.z for p in marker.points], default=marker.pose.position.z)


def _blend(picture: Picture, alpha: float, paint: Callable[[Picture], None]) -> None:
    """Paint with an opacity."""
    if alpha >= 1.0:
        paint(picture)
        return
    over = picture.copy()
    paint(over)
    cv2.addWeighted(over, alpha, picture, 1.0 - alpha, 0.0, dst=picture)


def _rgb(colour: Any) -> RGB:
    r, g, b = (round(255.0 * min(max(c, 0.0), 1.0)) for c in (colour.r, colour.g, colour.b))
    return r, g, b


def _points(view: View, marker: Any) -> NDArray[np.float64]:
    return view.pixels(np.array([(p.x, p.y) for p in marker.points], np.float64).reshape(-1, 2))


def _colours(marker: Any) -> list[Any]:
    return list(marker.colors) or [marker.color] * len(marker.points)


def _line_width(view: View, marker: Any) -> int:
    return max(1, round(marker.scale.x * view.scale))


def _strip(picture: Picture, view: View, marker: Any) -> None:
    points, colours, width = _points(view, marker), _colours(marker), _line_width(view, marker)

    def paint(on: Picture) -> None:
        start = 0
        for i in range(1, len(points) + 1):
            # Runs of one colour in one go: joints of a line drawn in pieces would show.
            if i == len(points) or colours[i] != colours[start]:
                canvas.lines(on, points[max(start - 1, 0) : i], _rgb(colours[start]), width)
                start = i

    _blend(picture, marker.color.a, paint)


def _segments(picture: Picture, view: View, marker: Any) -> None:
    points, colours, width = _points(view, marker), _colours(marker), _line_width(view, marker)

    def paint(on: Picture) -> None:
        for i in range(0, len(points) - 1, 2):
            canvas.lines(on, points[i : i + 2], _rgb(colours[i]), width)

    _blend(picture, marker.color.a, paint)


def _dots(picture: Picture, view: View, marker: Any) -> None:
    def paint(on: Picture) -> None:
        radius = max(1.0, 0.5 * marker.scale.x * view.scale)
        for (x, y), colour in zip(_points(view, marker), _colours(marker), strict=True):
            canvas.disc(on, (x, y), radius, _rgb(colour))

    _blend(picture, marker.color.a, paint)


def _triangles(picture: Picture, view: View, marker: Any) -> None:
    points, colours = _points(view, marker), _colours(marker)

    def paint(on: Picture) -> None:
        for i in range(0, len(points) - 2, 3):
            canvas.polygon(on, points[i : i + 3], _rgb(colours[i]))

    _blend(picture, marker.color.a, paint)


def _cube(picture: Picture, view: View, marker: Any) -> None:
    centre = np.array([marker.pose.position.x, marker.pose.position.y])
    half = 0.5 * np.array([marker.scale.x, marker.scale.y])
    corners = centre + half * np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)])
    _blend(picture, marker.color.a, lambda on: canvas.polygon(on, view.pixels(corners), _rgb(marker.color)))


def _text(picture: Picture, view: View, marker: Any) -> None:
    place = view.pixels(np.array([[marker.pose.position.x, marker.pose.position.y]]))[0]
    # RViz's letters are as high as scale.z; lines follow each other at that distance.
    step = marker.scale.z * view.scale
    lines = marker.text.split("\n")
    for i, line in enumerate(lines):
        y = round(place[1] + (i - 0.5 * (len(lines) - 1)) * step)
        size = max(6, round(0.74 * step))
        canvas.text(picture, line, (round(place[0]), y), size, _rgb(marker.color), i == 0, "centre")


_DRAW: dict[int, Callable[[Picture, View, Any], None]] = {
    _CUBE: _cube,
    _LINE_STRIP: _strip,
    _LINE_LIST: _segments,
    _SPHERE_LIST: _dots,
    _TEXT: _text,
    _TRIANGLES: _triangles,
}
