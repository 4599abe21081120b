"""Where pictures come from without ROS: devices, videos, folders of pictures. BGR arrays, one by one."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Protocol

from safe_o2o_ros.errors import FrameError, UsageError
from safe_o2o_ros.perception.camera_model import CameraModel
from safe_o2o_ros.perception.decode import decode_compressed
from safe_o2o_ros.types import ImageArray

_PICTURES = (".png", ".jpg", ".jpeg")
_MS = 1_000_000
_LATEST_NS = 1_000_000_000
_DEFAULT_FPS = 30.0


class Reader(Protocol):
    """An open source of pictures."""

    fps: float
    """Its own rate, Hz."""
    model: CameraModel | None
    """Its own calibration, where it knows one."""

    def read(self) -> ImageArray | None:
        """The next picture, (h, w, 3) uint8 RGB; None when there is none. May block. Raises FrameError."""
        ...

    def capture_age_ns(self, monotonic_ns: int) -> int:
        """How long ago the last picture was taken, nanoseconds; 0 where that is not known."""
        ...

    def close(self) -> None:
        """Free the device."""
        ...


def open_device(device: str, width: int, height: int, fps: float) -> Reader | None:
    """A V4L2 device ("/dev/video0", "0") or a stream's address; None while it does not open.

    `width`, `height`, `fps` are asked for; 0 leaves the device's own.
    """
    import cv2

    number = re.fullmatch(r"(?:/dev/video)?(\d+)", device)
    if number and not Path(f"/dev/video{number[1]}").exists():
        return None  # OpenCV would say so on stderr at every attempt
    capture = cv2.VideoCapture(int(number[1]), cv2.CAP_V4L2) if number else cv2.VideoCapture(device)
    if not capture.isOpened():
        capture.release()
        return None
    # Old frames in the driver's queue would be seen late.
    wanted = (
        (cv2.CAP_PROP_BUFFERSIZE, 1),
        (cv2.CAP_PROP_FRAME_WIDTH, width),
        (cv2.CAP_PROP_FRAME_HEIGHT, height),
        (cv2.CAP_PROP_FPS, fps),
    )
    for key, value in wanted:
        if value > 0:
            capture.set(key, value)
    return VideoReader(capture, stamped=number is not None)


def open_file(path: Path) -> Reader | None:
    """A video, or a folder of PNG or JPEG pictures in the order of their names; None if it does not open."""
    if path.is_dir():
        return FolderReader(path)
    import cv2

    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        capture.release()
        return None
    return VideoReader(capture, stamped=False)


def check_file(path: Path) -> None:
    """Raise UsageError when there is nothing to read at `path`."""
    if not path.exists():
        raise UsageError(f"'{path}' does not exist: give a video or a folder of pictures as `file`")
    reader = open_file(path)
    if reader is None:
        raise UsageError(f"'{path}' is no video that OpenCV can read: convert it, to MP4 say")
    reader.close()


class VideoReader:
    """What OpenCV's VideoCapture has opened."""

    model: CameraModel | None = None

    def __init__(self, capture: Any, stamped: bool) -> None:
        """`stamped`: the position of a frame is its time of capture on the monotonic clock (V4L2)."""
        import cv2

        self._capture = capture
        self._stamped = stamped
        self._cv2 = cv2
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps if math.isfinite(fps) and 0.1 <= fps <= 1000.0 else _DEFAULT_FPS

    def read(self) -> ImageArray | None:
        """The next frame. Raises FrameError when the decoder gives up on it."""
        try:
            found, frame = self._capture.read()
            if not found:
                return None
            if frame.ndim != 3:
                return self._cv2.cvtColor(frame, self._cv2.COLOR_GRAY2RGB)
            return self._cv2.cvtColor(frame, self._cv2.COLOR_BGR2RGB)
        except self._cv2.error as error:
            raise FrameError(f"OpenCV cannot read a frame ({error.err}): check the camera") from error

    def capture_age_ns(self, monotonic_ns: int) -> int:
        """Age by the driver's own stamp, where that is plausible."""
        if not self._stamped:
            return 0
        return capture_age_ns(monotonic_ns, float(self._capture.get(self._cv2.CAP_PROP_POS_MSEC)))

    def close(self) -> None:
        """Release the device or file."""
        self._capture.release()


class FolderReader:
    """The pictures of a folder."""

    fps = _DEFAULT_FPS
    model: CameraModel | None = None

    def __init__(self, folder: Path) -> None:
        """Raise UsageError when the folder holds no pictures."""
        self._paths = iter(sorted(p for p in folder.iterdir() if p.suffix.lower() in _PICTURES))
        self._next = next(self._paths, None)
        if self._next is None:
            raise UsageError(f"the folder '{folder}' holds no PNG or JPEG pictures: check `file`")

    def read(self) -> ImageArray | None:
        """The next picture. Raises FrameError when it cannot be read; the next call goes on."""
        if self._next is None:
            return None
        path, self._next = self._next, next(self._paths, None)
        try:
            return decode_compressed(path.read_bytes())
        except OSError as error:
            raise FrameError(f"'{path}' cannot be read ({error.strerror}): check the folder") from error
        except FrameError as error:
            raise FrameError(f"'{path.name}': {error}") from error

    def capture_age_ns(self, monotonic_ns: int) -> int:
        """Pictures are as new as their reading."""
        return 0

    def close(self) -> None:
        """Nothing is held open."""


def capture_age_ns(monotonic_ns: int, position_ms: float) -> int:
    """Age of a frame whose driver stamped it with `position_ms` on the monotonic clock, nanoseconds.

    0 when the stamp is of another clock: in the future, or more than a second old.
    """
    if not math.isfinite(position_ms) or position_ms <= 0.0:
        return 0
    age = monotonic_ns - round(position_ms * _MS)
    return age if 0 <= age <= _LATEST_NS else 0
