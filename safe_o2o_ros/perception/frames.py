"""Frames of several cameras to one frame set: paired by equal stamp; lone ones are counted by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.perception.preprocess import stack
from safe_o2o_ros.types import FrameSet


class FramePairing:
    """Keeps the newest frame of every camera."""

    def __init__(self, cameras: Sequence[str], height: int, width: int) -> None:
        """`cameras` in channel order; frame sets have `height` x `width` pixels."""
        self._cameras = tuple(cameras)
        self._size = (height, width)
        self._waiting: dict[str, tuple[int, NDArray[np.uint8]]] = {}
        self.dropped: dict[str, int] = dict.fromkeys(cameras, 0)
        """Frames per camera that were replaced before all partners had come."""

    def add(self, camera: str, stamp_ns: int, image: NDArray[np.uint8]) -> FrameSet | None:
        """Take one (h, w, 3) uint8 RGB frame; returns the frame set it completes. Raises FrameError."""
        if camera in self._waiting:
            self.dropped[camera] += 1
        self._waiting[camera] = (stamp_ns, image)
        if len(self._waiting) < len(self._cameras):
            return None
        if any(stamp != stamp_ns for stamp, _ in self._waiting.values()):
            return None
        images = {name: pixels for name, (_, pixels) in self._waiting.items()}
        self._waiting.clear()
        return FrameSet(stamp_ns, stack(images, self._cameras, *self._size))
