"""Where the robot has been, and what the filter answered there; bounded."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np

from safe_o2o_ros.monitor.palette import CHANGE, STOP, reason_colour
from safe_o2o_ros.monitor.shapes import Kind, Shape, shape

_HEIGHT = 0.003


@dataclass(frozen=True)
class Pose:
    """A place on the floor by odometry."""

    stamp_ns: int
    x: float
    """m, in the odometry's frame, as y."""
    y: float
    yaw: float
    """rad."""


class Trail:
    """The last `length` poses, at least `spacing_m` apart or where the answer changed."""

    def __init__(self, length: int, spacing_m: float = 0.04, jump_m: float = 0.5) -> None:
        """A step of `jump_m` or more between two poses in a row is no motion: the trail starts anew."""
        self._points: deque[tuple[Pose, str]] = deque(maxlen=length)
        self._spacing_m = spacing_m
        self._jump_m = jump_m
        self._last: Pose | None = None
        self.added = 0
        """Number of poses kept so far; tells whether there is anything new."""
        self.dropped = 0
        """Number of poses refused because they hold NaN or infinity."""

    def add(self, pose: Pose, reason: str) -> None:
        """The robot was here while the filter answered with `reason`."""
        if not all(map(math.isfinite, (pose.x, pose.y, pose.yaw))):
            self.dropped += 1
            return
        last, self._last = self._last, pose
        if last is not None and math.hypot(pose.x - last.x, pose.y - last.y) >= self._jump_m:
            self.clear()
            self._last = pose
        if self._points:
            kept, of = self._points[-1]
            if of == reason and math.hypot(pose.x - kept.x, pose.y - kept.y) < self._spacing_m:
                return
        self._points.append((pose, reason))
        self.added += 1

    def clear(self) -> None:
        """Forget everything: a new episode, a robot that was carried."""
        self._points.clear()
        self._last = None
        self.added += 1

    def newest(self, count: int) -> Iterator[Pose]:
        """The last `count` poses, oldest first."""
        return (pose for pose, _ in islice(self._points, max(len(self._points) - count, 0), None))

    def __len__(self) -> int:
        return len(self._points)

    def shapes(self) -> list[Shape]:
        """The path in the colours of the answers, and a dot wherever the filter began to act."""
        if self._last is None or len(self._points) < 2:
            return []
        # To where the robot is now, and not only to the last pose that was kept.
        driven = [*self._points, (self._last, self._points[-1][1])]
        points = np.array([(pose.x, pose.y, _HEIGHT) for pose, _ in driven])
        colours = np.array([reason_colour(reason) for _, reason in driven])
        drawn = [shape("path", Kind.LINE_STRIP, points, (0.02, 0.0, 0.0), colours)]
        acted = [
            (pose, reason)
            for (_, before), (pose, reason) in pairwise(self._points)
            if reason != before and reason_colour(reason) in (STOP, CHANGE)
        ]
        if acted:
            places = np.array([(pose.x, pose.y, 2.0 * _HEIGHT) for pose, _ in acted])
            dots = np.array([reason_colour(reason) for _, reason in acted])
            drawn.append(shape("interventions", Kind.DOTS, places, (0.06, 0.06, 0.06), dots))
        return drawn
