"""The pinhole model of a camera, carried through crops and changes of size."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from safe_o2o_ros.errors import FrameError, UsageError
from safe_o2o_ros.types import ImageArray

FISHEYE = "equidistant"
DISTORTIONS = ("plumb_bob", "rational_polynomial", FISHEYE)


@dataclass(frozen=True)
class CameraModel:
    """A calibrated camera; all lengths in pixels."""

    height: int
    width: int
    fx: float
    fy: float
    cx: float
    """Principal point from the image's left edge."""
    cy: float
    """Principal point from the image's upper edge."""
    distortion: tuple[float, ...] = ()
    """Coefficients in the order of CameraInfo; () or zeros = none."""
    distortion_model: str = "plumb_bob"
    """One of DISTORTIONS."""

    def __post_init__(self) -> None:
        """Raise FrameError on values no camera has."""
        numbers = (self.fx, self.fy, self.cx, self.cy, *self.distortion)
        sound = all(math.isfinite(x) for x in numbers) and min(self.fx, self.fy) > 0.0
        if not sound or min(self.height, self.width) < 1:
            raise FrameError(
                f"a calibration of {self.width}x{self.height} pixels with focal lengths {self.fx:g}, "
                f"{self.fy:g} is impossible: calibrate the camera again"
            )

    @property
    def fovy_deg(self) -> float:
        """Vertical field of view, degrees."""
        below = math.atan2(self.height - self.cy, self.fy)
        return math.degrees(math.atan2(self.cy, self.fy) + below)

    @property
    def distorted(self) -> bool:
        """Straight lines are bent in its images."""
        return any(x != 0.0 for x in self.distortion)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(3, 3) camera matrix."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    def cropped(self, x: int, y: int, width: int, height: int) -> CameraModel:
        """The camera that sees only this rectangle of the image."""
        return replace(self, height=height, width=width, cx=self.cx - x, cy=self.cy - y)

    def resized(self, height: int, width: int) -> CameraModel:
        """The camera whose image is scaled to this size."""
        sx, sy = width / self.width, height / self.height
        return replace(
            self,
            height=height,
            width=width,
            fx=sx * self.fx,
            fy=sy * self.fy,
            cx=sx * self.cx,
            cy=sy * self.cy,
        )

    def fitted(self, height: int, width: int) -> CameraModel:
        """The model for images of another resolution. Raises FrameError when the shape differs."""
        if abs(self.width * height - self.height * width) > 0.01 * self.height * width:
            raise FrameError(
                f"the calibration is for images of {self.width}x{self.height}, but they have "
                f"{width}x{height}: give the calibration that belongs to them"
            )
        return self if (self.height, self.width) == (height, width) else self.resized(height, width)


def ideal(height: int, width: int, fovy_deg: float) -> CameraModel:
    """A pinhole with square pixels and the principal point in the middle."""
    focal = 0.5 * height / math.tan(math.radians(fovy_deg) / 2.0)
    return CameraModel(height, width, focal, focal, width / 2.0, height / 2.0)


class Undistortion:
    """Straightens images; the maps are computed once per calibration."""

    def __init__(self) -> None:
        self._model: CameraModel | None = None
        self._maps: tuple[Any, Any] | None = None

    def apply(self, image: ImageArray, model: CameraModel) -> tuple[ImageArray, CameraModel]:
        """The image (h, w, 3) as a camera of the same matrix without distortion sees it."""
        straight = replace(model, distortion=(), distortion_model="plumb_bob")
        if not model.distorted:
            return image, straight
        import cv2

        cv2.setNumThreads(1)
        if model != self._model:
            coefficients = np.asarray(model.distortion, np.float64)
            make: Any = cv2.initUndistortRectifyMap
            if model.distortion_model == FISHEYE:
                make, coefficients = cv2.fisheye.initUndistortRectifyMap, coefficients[:4]
            size = (model.width, model.height)
            self._maps = make(model.matrix, coefficients, np.eye(3), model.matrix, size, cv2.CV_16SC2)
            self._model = model
        assert self._maps is not None
        straightened = cv2.remap(image, *self._maps, cv2.INTER_LINEAR)
        return np.asarray(straightened, np.uint8), straight


def read_calibration(path: Path) -> CameraModel:
    """A calibration file as ROS's camera_calibration writes it. Raises UsageError."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        matrix = [float(x) for x in data["camera_matrix"]["data"]]
        coefficients = tuple(float(x) for x in data.get("distortion_coefficients", {}).get("data", ()))
        return CameraModel(
            height=int(data["image_height"]),
            width=int(data["image_width"]),
            fx=matrix[0],
            fy=matrix[4],
            cx=matrix[2],
            cy=matrix[5],
            distortion=coefficients,
            distortion_model=checked_distortion(str(data.get("distortion_model", "plumb_bob")), coefficients),
        )
    except OSError as error:
        raise UsageError(
            f"the calibration '{path}' cannot be read ({error.strerror}): check its path"
        ) from error
    except (yaml.YAMLError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise UsageError(
            f"'{path}' is not a calibration as camera_calibration writes it ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'empty'}): calibrate again or mend it"
        ) from error
    except FrameError as error:
        raise UsageError(f"'{path}': {error}") from error


def checked_distortion(model: str, coefficients: tuple[float, ...]) -> str:
    """The name of a distortion model that `Undistortion` knows. Raises FrameError."""
    if not any(coefficients):
        return "plumb_bob"
    lengths = {"plumb_bob": (4, 5), "rational_polynomial": (8, 12, 14), FISHEYE: (4,)}
    if model not in DISTORTIONS or len(coefficients) not in lengths[model]:
        raise FrameError(
            f"the distortion model '{model}' with {len(coefficients)} coefficients is not understood: "
            f"calibrate with one of {', '.join(DISTORTIONS)}"
        )
    return model
