"""Images to the stacked tensor the encoder takes. Training, simulator and robot all come through here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.errors import FrameError


def resize(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """An RGB image (h, w, 3) uint8 at (height, width); the same array when it already fits.

    Area averaging, since cameras are larger than the network's input and other filters alias.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise FrameError(
            f"an image must be (h, w, 3) uint8 RGB, got {image.shape} {image.dtype}: "
            "check the camera's encoding"
        )
    if image.shape[:2] == (height, width):
        return image
    import cv2

    cv2.setNumThreads(1)
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)


def crop(image: NDArray[np.uint8], x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
    """A rectangle of an image (h, w, 3), in pixels from the upper left corner; a view. Raises FrameError."""
    rows, columns = image.shape[:2]
    if min(x, y) < 0 or min(width, height) < 1 or x + width > columns or y + height > rows:
        raise FrameError(
            f"the region of {width}x{height} pixels at ({x}, {y}) is not inside an image of "
            f"{columns}x{rows}: correct `roi`"
        )
    return image[y : y + height, x : x + width]


def stack(
    images: Mapping[str, NDArray[np.uint8]], cameras: Sequence[str], height: int, width: int
) -> NDArray[np.uint8]:
    """Images by camera name to one (height, width, 3 * cameras) uint8 array, cameras in the given order."""
    missing = [c for c in cameras if c not in images]
    if missing:
        raise FrameError(
            f"no image of camera '{missing[0]}': the bundle needs {', '.join(cameras)}, "
            f"got {', '.join(images) or 'none'}"
        )
    return np.concatenate([resize(images[c], height, width) for c in cameras], axis=2)
