"""What the camera above DubinsAvoid sees, drawn with NumPy: many states at a time, always alike."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.sim.exact.dubins import HALF_WIDTH, HAZARD_RADIUS

SIZE = 64
"""Pixels a side."""
VIEW_M = HALF_WIDTH + 0.25
"""Half of the side that is seen, metres: a car that leaves the domain stays in view for some periods."""
CAMERA = "top"

_HALF_LENGTH, _HALF_BREADTH, _NOSE = 0.22, 0.11, 0.12
"""Of the car's body, a rounded bar, and the radius of the disc at its front; metres."""
_FLOOR, _HAZARD, _BODY, _FRONT = (128, 128, 128), (152, 104, 98), (250, 250, 250), (12, 12, 40)
"""The floor is grey, which networks see as 0: the small car is what stands out, and not the floor."""
_PIXEL = 2.0 * VIEW_M / SIZE
_PATCH = 2 * int(np.ceil((_HALF_LENGTH + _NOSE) / _PIXEL)) + 4
"""Pixels a side of the part of the picture that a car can change."""


def draw(states: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Images (N, SIZE, SIZE, 3), RGB, y up, of states (N, 3).

    Edges are blended by the share of a pixel that they cover, so that a picture tells a place to a fraction
    of a pixel. A car out of view is not seen.
    """
    # Cars at the rim are painted over a frame that is cut off in the end.
    picture = np.broadcast_to(_empty(_PATCH), (len(states), SIZE + 2 * _PATCH, SIZE + 2 * _PATCH, 3)).copy()
    column = np.floor((states[:, 0] + VIEW_M) / _PIXEL).astype(np.int64) - _PATCH // 2
    row = np.floor((VIEW_M - states[:, 1]) / _PIXEL).astype(np.int64) - _PATCH // 2
    column, row = (np.clip(v, -_PATCH, SIZE) for v in (column, row))
    span = np.arange(_PATCH)
    rows, columns = row[:, None, None] + span[:, None], column[:, None, None] + span
    x = ((columns + 0.5) * _PIXEL - VIEW_M - states[:, 0, None, None]).astype(np.float32)
    y = (VIEW_M - (rows + 0.5) * _PIXEL - states[:, 1, None, None]).astype(np.float32)
    c, s = (f(states[:, 2]).astype(np.float32)[:, None, None] for f in (np.cos, np.sin))
    along, across = x * c + y * s, y * c - x * s
    beyond = along - np.clip(along, -_HALF_LENGTH, _HALF_LENGTH)
    place = (np.arange(len(states))[:, None, None], rows + _PATCH, columns + _PATCH)
    patch = _paint(picture[place], np.hypot(beyond, across) - _HALF_BREADTH, _BODY)
    picture[place] = _paint(patch, np.hypot(along - _HALF_LENGTH, across) - _NOSE, _FRONT)
    inner = slice(_PATCH, _PATCH + SIZE)
    return np.asarray(picture[:, inner, inner] + 0.5, np.uint8)


@functools.cache
def _empty(frame: int) -> NDArray[np.float32]:
    """The floor with the hazard and `frame` more pixels on every side, float32 RGB."""
    side = ((np.arange(-frame, SIZE + frame) + 0.5) * _PIXEL - VIEW_M).astype(np.float32)
    floor = np.broadcast_to(np.array(_FLOOR, np.float32), (len(side), len(side), 3))
    return _paint(floor, np.hypot(side[None, :], side[:, None]) - HAZARD_RADIUS, _HAZARD)


def _paint(
    picture: NDArray[np.float32], distance: NDArray[Any], colour: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Lay a colour over a picture where a signed distance in metres is negative."""
    cover = np.clip(0.5 - distance / _PIXEL, 0.0, 1.0)[..., None]
    return np.asarray(picture + cover * (np.array(colour, np.float32) - picture), np.float32)
