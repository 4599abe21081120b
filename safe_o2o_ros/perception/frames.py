"""Frames of several cameras to one frame set: paired by stamp; lone ones are counted by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.perception.preprocess import resize, stack
from safe_o2o_ros.types import FrameSet, ImageArray


@dataclass
class _Camera:
    """What is known of one camera."""

    waiting: tuple[int, ImageArray, float] | None = None
    """Stamp, pixels and time of receipt of its newest frame that is not in a set yet."""
    last_ns: int | None = None
    gap_ns: int | None = None
    """Between the stamps of its last two frames."""


class FramePairing:
    """Keeps the newest frame of every camera; a set is complete when their stamps are close enough.

    A frame set carries the oldest of its stamps, which never repeats: every frame is used once.
    """

    def __init__(
        self,
        cameras: Sequence[str],
        height: int,
        width: int,
        tolerance_s: float = 0.0,
        longest_wait_s: float = math.inf,
    ) -> None:
        """`cameras` in channel order; frame sets have `height` x `width` pixels.

        `tolerance_s`: largest difference of stamps in a set. `longest_wait_s`: a frame that waits longer
        for its partners, on the receiver's clock, is given up: its stamp may be of a clock that jumped.
        """
        self._names = tuple(cameras)
        self._size = (height, width)
        self._tolerance_ns = round(tolerance_s * 1e9)
        self._longest_wait_s = longest_wait_s
        self._cameras = {name: _Camera() for name in cameras}
        self.dropped: dict[str, int] = dict.fromkeys(cameras, 0)
        """Frames per camera that found no partners."""
        self.repeated: dict[str, int] = dict.fromkeys(cameras, 0)
        """Frames per camera that carried the stamp of the one before."""
        self.clock_jumps: dict[str, int] = dict.fromkeys(cameras, 0)
        """Times the stamps of a camera went back."""

    def add(self, camera: str, stamp_ns: int, image: ImageArray, now_s: float = 0.0) -> FrameSet | None:
        """Take one (h, w, 3) uint8 RGB frame; returns the frame set it completes. Raises FrameError.

        `now_s`: time of receipt on the steady clock, seconds.
        """
        if camera not in self._cameras:
            raise FrameError(f"a frame of camera '{camera}' came: expected {', '.join(self._names)}")
        state = self._cameras[camera]
        if state.last_ns == stamp_ns:
            self.repeated[camera] += 1
            return None
        image = resize(image, *self._size)
        if state.last_ns is not None and stamp_ns < state.last_ns:
            # Whatever waits belongs to the time before, and may seem to fit again some time after.
            self.clock_jumps[camera] += 1
            for name in self._names:
                self._drop(name)
            state.last_ns = None
        state.gap_ns = None if state.last_ns is None else stamp_ns - state.last_ns
        state.last_ns = stamp_ns
        self._drop(camera)
        state.waiting = (stamp_ns, image, now_s)
        for name, other in self._cameras.items():
            if other.waiting is not None and now_s - other.waiting[2] > self._longest_wait_s:
                self._drop(name)
        return self._complete()

    def _drop(self, camera: str) -> None:
        if self._cameras[camera].waiting is not None:
            self.dropped[camera] += 1
            self._cameras[camera].waiting = None

    def _complete(self) -> FrameSet | None:
        stamps: dict[str, int] = {}
        images: dict[str, ImageArray] = {}
        for name, state in self._cameras.items():
            if state.waiting is None:
                return None
            stamps[name], images[name], _ = state.waiting
        newest = max(stamps.values())
        for name, stamp_ns in stamps.items():
            skew = newest - stamp_ns
            gap = self._cameras[name].gap_ns
            # Of a camera whose next frame is due closer to the newest one, that next frame is the partner.
            if skew > self._tolerance_ns or (gap is not None and 2 * skew > gap):
                return None
        for state in self._cameras.values():
            state.waiting = None
        return FrameSet(min(stamps.values()), stack(images, self._names, *self._size))
