"""Drawing on RGB arrays: text in a real font, lines at sub-pixel positions; knows nothing of robots."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from safe_o2o_ros.report.style import RGB

Picture = NDArray[np.uint8]

_SHIFT = 4
"""Fractional bits of OpenCV's coordinates."""


@lru_cache(maxsize=32)
def _font(size: int, bold: bool) -> Any:
    # Matplotlib brings its fonts along, so the pictures look the same on every machine.
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


@lru_cache(maxsize=4096)
def _mask(words: str, size: int, bold: bool) -> NDArray[np.float32]:
    """Coverage (h, w, 1) in [0, 1]; the height is the font's, so that lines of text align."""
    font = _font(size, bold)
    ascent, descent = font.getmetrics()
    picture = Image.new("L", (max(math.ceil(font.getlength(words)), 1), ascent + descent))
    ImageDraw.Draw(picture).text((0, 0), words, fill=255, font=font)
    return np.asarray(picture, np.float32)[..., None] / 255.0


def text_width(words: str, size: int, bold: bool = False) -> int:
    """Pixels."""
    return int(_mask(words, size, bold).shape[1])


def text(
    picture: Picture,
    words: str,
    at: tuple[int, int],
    size: int,
    colour: RGB,
    bold: bool = False,
    align: str = "left",
) -> None:
    """Write `words`; `at` = left, centre or right end (`align`), and the vertical centre, pixels."""
    mask = _mask(words, size, bold)
    h, w = mask.shape[:2]
    x = at[0] - {"left": 0, "centre": w // 2, "right": w}[align]
    y = at[1] - h // 2
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + w, picture.shape[1]), min(y + h, picture.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    part = mask[y0 - y : y1 - y, x0 - x : x1 - x]
    under = picture[y0:y1, x0:x1]
    under[:] = (under + part * (np.asarray(colour, np.float32) - under)).round()


def box(picture: Picture, left: int, top: int, width: int, height: int, colour: RGB, radius: int = 0) -> None:
    """A filled rectangle with round corners."""
    right, bottom = left + width, top + height
    if radius == 0:
        picture[top:bottom, left:right] = colour
        return
    picture[top + radius : bottom - radius, left:right] = colour
    picture[top:bottom, left + radius : right - radius] = colour
    for x in (left + radius, right - radius - 1):
        for y in (top + radius, bottom - radius - 1):
            cv2.circle(picture, (x, y), radius, colour, -1, cv2.LINE_AA)


def lines(picture: Picture, points: NDArray[np.float64], colour: RGB, width: int) -> None:
    """A line through points (n, 2), pixels."""
    if len(points) > 1:
        fixed = np.round(points * (1 << _SHIFT)).astype(np.int32)
        cv2.polylines(picture, [fixed[:, None]], False, colour, width, cv2.LINE_AA, _SHIFT)


def disc(picture: Picture, centre: tuple[float, float], radius: float, colour: RGB, width: int = -1) -> None:
    """A disc, or a ring of `width` pixels."""
    x, y, r = (round(v * (1 << _SHIFT)) for v in (*centre, radius))
    cv2.circle(picture, (x, y), r, colour, width, cv2.LINE_AA, _SHIFT)


def polygon(picture: Picture, points: NDArray[np.float64], colour: RGB) -> None:
    """A filled convex polygon (n, 2), pixels."""
    fixed = np.round(points * (1 << _SHIFT)).astype(np.int32)
    cv2.fillConvexPoly(picture, fixed, colour, cv2.LINE_AA, _SHIFT)


def outline(picture: Picture, points: NDArray[np.float64], colour: RGB, width: int) -> None:
    """The closed line around a polygon (n, 2), pixels."""
    lines(picture, np.concatenate([points, points[:1]]), colour, width)


def arrow(
    picture: Picture, start: NDArray[np.float64], end: NDArray[np.float64], colour: RGB, width: int
) -> None:
    """An arrow with a solid head; a dot where it has no length."""
    along = end - start
    length = float(np.hypot(*along))
    head = 2.6 * width + 3.0
    if length < 2.0:
        disc(picture, (float(start[0]), float(start[1])), width, colour)
        return
    unit = along / length
    side = np.array([-unit[1], unit[0]])
    base = end - unit * min(head, length)
    lines(picture, np.stack([start, base]), colour, width)
    polygon(picture, np.stack([end, base + 0.55 * head * side, base - 0.55 * head * side]), colour)


def enlarged(image: Picture, size: int) -> Picture:
    """A square image at `size` pixels: whole pixels where enlarged, to show what the network sees."""
    method = cv2.INTER_NEAREST if size >= image.shape[0] else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, (size, size), interpolation=method), np.uint8)
