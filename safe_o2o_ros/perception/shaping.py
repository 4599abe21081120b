"""From a camera's image to the bundle's: straighten, crop, resize; the calibration comes along."""

from __future__ import annotations

import math
from dataclasses import dataclass

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.perception.camera_model import CameraModel, Undistortion
from safe_o2o_ros.perception.preprocess import crop, resize
from safe_o2o_ros.types import ImageArray

CENTRE, WHOLE, VIEW = "centre", "none", "view"
CROPS = (CENTRE, WHOLE, VIEW)


@dataclass(frozen=True)
class Shape:
    """What is to become of a camera's images."""

    height: int
    width: int
    crop: str = CENTRE
    """centre: the largest middle part of the wanted proportions; none: everything, squeezed; view: the
    part around the optical axis that has `fovy_deg`."""
    roi: tuple[int, int, int, int] | None = None
    """x, y, width, height in pixels; replaces `crop`."""
    undistort: bool = False
    """Straighten with the calibration before the crop."""
    fovy_deg: float | None = None
    """Vertical field of view that "view" cuts out, degrees."""


class FrameShaper:
    """Applies one Shape to one camera's images."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._undistortion = Undistortion()

    def apply(self, image: ImageArray, model: CameraModel | None) -> tuple[ImageArray, CameraModel | None]:
        """A (h, w, 3) uint8 RGB image at the wanted size, with its calibration where there was one.

        Raises FrameError when calibration, region and image do not fit each other.
        """
        shape = self._shape
        height, width = image.shape[:2]
        if model is not None:
            model = model.fitted(height, width)
        if shape.undistort:
            if model is None:
                raise FrameError("undistort needs a calibration: give `calibration` or a camera_info topic")
            image, model = self._undistortion.apply(image, model)
        x, y, w, h = self._region(height, width, model)
        small = resize(crop(image, x, y, w, h), shape.height, shape.width)
        if model is not None:
            model = model.cropped(x, y, w, h).resized(shape.height, shape.width)
        return small, model

    def _region(self, height: int, width: int, model: CameraModel | None) -> tuple[int, int, int, int]:
        shape = self._shape
        if shape.roi is not None:
            return shape.roi
        if shape.crop == WHOLE:
            return 0, 0, width, height
        if shape.crop == VIEW and shape.fovy_deg is not None:
            if model is None:
                raise FrameError(
                    "crop 'view' needs a calibration: give `calibration`, `fovy` or crop 'centre'"
                )
            return _view(model, shape.fovy_deg, shape.width / shape.height)
        w = min(width, max(1, round(height * shape.width / shape.height)))
        h = min(height, max(1, round(width * shape.height / shape.width)))
        return (width - w) // 2, (height - h) // 2, w, h


def _view(model: CameraModel, fovy_deg: float, aspect: float) -> tuple[int, int, int, int]:
    """The rectangle around the optical axis with this field of view, as much of it as the image has."""
    wanted = 2.0 * math.tan(math.radians(fovy_deg) / 2.0)
    room_y = 2.0 * min(model.cy, model.height - model.cy)
    room_x = 2.0 * min(model.cx, model.width - model.cx)
    # In units of focal length, so that pixels need not be square.
    tall = min(wanted, room_y / model.fy, room_x / model.fx / aspect)
    w, h = max(1, round(tall * aspect * model.fx)), max(1, round(tall * model.fy))
    x, y = max(0, round(model.cx - w / 2.0)), max(0, round(model.cy - h / 2.0))
    return x, y, min(w, model.width - x), min(h, model.height - y)
