"""Frame sets of a repeatable simulation: by equal stamps, however late a frame comes."""

from __future__ import annotations

from collections.abc import Sequence

from safe_o2o_ros.perception.preprocess import resize, stack
from safe_o2o_ros.types import FrameSet, ImageArray

_MOST = 256


class ExactFrameSets:
    """Pairs the frames of cameras that are heard in order, each without bound.

    The encoder's pairing (perception/frames.py) keeps the newest frame of each camera, since a robot must not
    wait. Here a frame that was lost on the way and sent again is still wanted. The pictures are the same.
    """

    def __init__(self, cameras: Sequence[str], height: int, width: int) -> None:
        """`cameras` in channel order; frame sets have `height` x `width` pixels."""
        self._cameras, self._size = tuple(cameras), (height, width)
        self._waiting: dict[int, dict[str, ImageArray]] = {}
        self.dropped = 0
        """Sets of which a frame never came."""

    def add(self, camera: str, stamp_ns: int, image: ImageArray) -> FrameSet | None:
        """Take one (h, w, 3) uint8 RGB frame; returns the set it completes. Raises FrameError."""
        found = self._waiting.setdefault(stamp_ns, {})
        found[camera] = resize(image, *self._size)
        if len(found) < len(self._cameras):
            if len(self._waiting) > _MOST:
                self._forget(min(self._waiting))
            return None
        # Every camera is beyond them: they cannot be completed any more.
        for older in [stamp for stamp in self._waiting if stamp < stamp_ns]:
            self._forget(older)
        del self._waiting[stamp_ns]
        return FrameSet(stamp_ns, stack(found, self._cameras, *self._size))

    def _forget(self, stamp_ns: int) -> None:
        del self._waiting[stamp_ns]
        self.dropped += 1
