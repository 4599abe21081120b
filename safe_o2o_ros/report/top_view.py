"""The view from above in a video frame, with the way driven so far."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.report import canvas, style
from safe_o2o_ros.report.canvas import Picture
from safe_o2o_ros.report.log import EpisodeLog
from safe_o2o_ros.report.scene import SceneView, goal_ticks, plan_half_width
from safe_o2o_ros.report.things import Thing, goal_places

TOP_PX = 512
"""Side of the view."""
_TRAIL_STEPS = 24
"""Shades in which the trail is drawn: runs of one shade are one line."""


class TopView:
    """The view from above with the trail; a drawn floor plan where the log holds no pictures."""

    def __init__(self, log: EpisodeLog, view: SceneView) -> None:
        self._log = log
        self._plan = None
        half = view.half_width_m
        if log.top is None:
            half = plan_half_width(log, view)
            self._plan = _floor_plan(log, half, view)
        self._half, self._radius = half, view.goal_radius_m
        self._robot_px = 10.0
        if half is not None and view.robot_radius_m is not None:
            self._robot_px = view.robot_radius_m * TOP_PX / (2.0 * half)
        self._goal_ticks = goal_ticks(log)
        self._points = None if half is None else _to_pixels(log.position, half)
        shades = np.round(np.clip(log.value, 0.0, 1.0) * _TRAIL_STEPS) / _TRAIL_STEPS
        self._colours: list[style.RGB] = [(r, g, b) for r, g, b in style.value_colours(shades).tolist()]

    def draw(self, picture: Picture, tick: int, left: int, top: int) -> None:
        """Everything up to `tick`."""
        log = self._log
        image = self._drawn(tick) if log.top is None else canvas.enlarged(log.top[tick], TOP_PX)
        if self._points is not None:
            self._trail(image, tick, self._points)
            if log.top is None:
                _robot(image, self._points[tick], float(log.yaw[tick]), self._robot_px)
        picture[top : top + TOP_PX, left : left + TOP_PX] = image

    def _drawn(self, tick: int) -> Picture:
        """The floor plan with the goal of this tick, where the log knows it."""
        assert self._plan is not None and self._half is not None
        image = self._plan.copy()
        reached = int(np.count_nonzero(self._goal_ticks < tick))
        for x, y in goal_places(self._log.layout)[reached : reached + 1]:
            _put(image, self._half, x, y, self._radius, style.GOAL)
        return image

    def _trail(self, image: Picture, tick: int, path: NDArray[np.float64]) -> None:
        points = path[: tick + 1]
        canvas.lines(image, points, style.WHITE, 5)
        for first, end, colour in style.runs(self._colours[:tick]):
            canvas.lines(image, points[first : end + 1], colour, 3)
        for hit in np.flatnonzero(self._log.cost[:tick] > 0):
            x, y = points[hit]
            for dx, dy in ((4, 4), (4, -4)):
                canvas.lines(image, np.array([(x - dx, y - dy), (x + dx, y + dy)]), style.COST, 2)


def _to_pixels(position: NDArray[np.float64], half: float) -> NDArray[np.float64]:
    scale = TOP_PX / (2.0 * half)
    return np.stack([(position[:, 0] + half) * scale, (half - position[:, 1]) * scale], axis=1)


def _floor_plan(log: EpisodeLog, half: float, view: SceneView) -> Picture:
    image = np.full((TOP_PX, TOP_PX, 3), (251, 250, 245), np.uint8)
    if view.room_m is not None:
        corners = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) * view.room_m
        canvas.outline(image, _to_pixels(corners, half), style.WALL, 5)
        canvas.polygon(image, _to_pixels(corners, half), style.WHITE)
    for thing in view.things(log):
        if thing.track is not None:
            _put_track(image, half, thing)
        if thing.box:
            _put_box(image, half, thing)
        else:
            _put(image, half, thing.x, thing.y, thing.half[0], thing.colour)
    return image


def _put_track(image: Picture, half: float, thing: Thing) -> None:
    """The circle on which a thing goes round."""
    assert thing.track is not None
    x, y, radius = thing.track
    px, py = _to_pixels(np.array([[x, y]]), half)[0].tolist()
    canvas.disc(image, (px, py), radius * TOP_PX / (2.0 * half), thing.colour, 1)


def _put_box(image: Picture, half: float, thing: Thing) -> None:
    """A transparent box with a rim; one above the robot as a rim only."""
    corners = _to_pixels(thing.corners(), half)
    if not thing.above:
        layer = image.copy()
        canvas.polygon(layer, corners, thing.colour)
        image[:] = (0.65 * image + 0.35 * layer).round()
    canvas.outline(image, corners, thing.colour, 1 if thing.above else 2)


def _put(image: Picture, half: float, x: float, y: float, radius: float, colour: style.RGB) -> None:
    """A transparent disc with a rim; position and radius in metres."""
    px, py = _to_pixels(np.array([[x, y]]), half)[0].tolist()
    pixels = radius * TOP_PX / (2.0 * half)
    layer = image.copy()
    canvas.disc(layer, (px, py), pixels, colour)
    image[:] = (0.65 * image + 0.35 * layer).round()
    canvas.disc(image, (px, py), pixels, colour, 2)


def _robot(image: Picture, at: NDArray[np.float64], yaw: float, radius: float) -> None:
    ahead = np.array([math.cos(yaw), -math.sin(yaw)])
    canvas.disc(image, (float(at[0]), float(at[1])), radius, style.INK)
    canvas.arrow(image, at, at + (radius + 14) * ahead, style.INK, 3)
