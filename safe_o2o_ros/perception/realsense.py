"""RealSense cameras through librealsense: a live device, or a file that it recorded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from safe_o2o_ros.errors import FrameError, MissingExtraError, UsageError
from safe_o2o_ros.perception.camera_model import CameraModel
from safe_o2o_ros.perception.decode import decode_raw
from safe_o2o_ros.perception.readers import capture_age_ns
from safe_o2o_ros.types import ImageArray

_FIRST_MS, _NEXT_MS, _END_MS = 5000, 2000, 100
"""Longest wait for a device's first picture, for its next one, and for one of a file, milliseconds."""
_FILE_POLLS = 50
"""Waits in a row, without a picture, after which a file that does not say so has ended."""
_ENCODINGS = {
    "rgb8": ("rgb8", 3),
    "bgr8": ("bgr8", 3),
    "rgba8": ("rgba8", 4),
    "bgra8": ("bgra8", 4),
    "yuyv": ("yuv422_yuy2", 2),
    "uyvy": ("yuv422", 2),
    "y8": ("mono8", 1),
    "y16": ("mono16", 2),
}
"""librealsense's name of a pixel format -> that of sensor_msgs and its bytes a pixel."""


def library() -> Any:
    """The module pyrealsense2. Raises MissingExtraError."""
    try:
        import pyrealsense2
    except ImportError as error:
        raise MissingExtraError(
            f"pyrealsense2 cannot be loaded ({error}): run `pip install 'safe_o2o_ros[realsense]'` and "
            "`sudo apt-get install libusb-1.0-0`"
        ) from error
    # Some builds keep their names one level down.
    return pyrealsense2 if hasattr(pyrealsense2, "pipeline") else pyrealsense2.pyrealsense2


class RealSenseDevice:
    """A live camera: its newest colour picture."""

    def __init__(self, rs: Any, pipeline: Any, profile: Any) -> None:
        """`pipeline` runs and has started with `profile`."""
        self._rs, self._pipeline = rs, pipeline
        stream = profile.get_stream(rs.stream.color).as_video_stream_profile()
        self.fps = float(stream.fps()) or 30.0
        self.model = _model(stream)
        self._wait_ms = _FIRST_MS
        self._taken_ms = 0.0

    def read(self) -> ImageArray | None:
        """(h, w, 3) uint8 RGB; None when nothing has come for seconds: unplugged. Raises FrameError."""
        try:
            found, frames = self._pipeline.try_wait_for_frames(self._wait_ms)
        except RuntimeError:
            return None
        self._wait_ms = _NEXT_MS
        frame = frames.get_color_frame() if found else None
        if not frame:
            return None
        known = frame.get_frame_timestamp_domain() != self._rs.timestamp_domain.hardware_clock
        self._taken_ms = float(frame.get_timestamp()) if known else 0.0
        return _pixels(frame)

    def capture_age_ns(self, monotonic_ns: int) -> int:
        """Age by librealsense's stamp, which is on the system's clock where the driver can tell."""
        return capture_age_ns(time.time_ns(), self._taken_ms)

    def close(self) -> None:
        """Stop to stream."""
        _stop(self._pipeline)


class RealSenseFile:
    """A recording (.db3, or .bag of older versions), for `Playback`."""

    problem = ""

    def __init__(self, path: Path) -> None:
        """Raise UsageError where there is no such recording, MissingExtraError without librealsense."""
        rs = library()
        if not path.is_file():
            raise UsageError(f"'{path}' does not exist: give a file that librealsense recorded as `file`")
        config = rs.config()
        self._pipeline, self._rs = rs.pipeline(), rs
        try:
            config.enable_device_from_file(str(path), False)
            config.enable_stream(rs.stream.color)
            # The pace is ours. librealsense's own drops what is not taken in time, from its start on.
            resolved = config.resolve(rs.pipeline_wrapper(self._pipeline))
            resolved.get_device().as_playback().set_real_time(False)
            profile = self._pipeline.start(config)
            self._playback = profile.get_device().as_playback()
        except RuntimeError as error:
            raise UsageError(
                f"'{path}' is no recording with a colour stream that librealsense can read "
                f"({_first(error)}): record it again"
            ) from error
        stream = profile.get_stream(rs.stream.color).as_video_stream_profile()
        self.model: CameraModel | None = _model(stream)
        self._interval_ns = round(1e9 / (float(stream.fps()) or 30.0))
        self._span = (0, 0)

    def frames(self) -> Iterator[tuple[int, ImageArray | FrameError]]:
        """Every colour picture once, with the time it was recorded under."""
        number, silent = -1, 0
        while silent < _FILE_POLLS:
            try:
                found, frames = self._pipeline.try_wait_for_frames(_END_MS)
            except RuntimeError as error:
                self.problem = f"librealsense gives up on the file ({_first(error)})"
                return
            frame = frames.get_color_frame() if found else None
            if not frame:
                silent += 1
                if self._playback.current_status() == self._rs.playback_status.stopped:
                    return
                continue
            silent = 0
            if frame.get_frame_number() == number:  # beside a picture of another stream it comes again
                continue
            number = frame.get_frame_number()
            stamp_ns = round(float(frame.get_timestamp()) * 1e6)
            self._span = (self._span[0] or stamp_ns, stamp_ns + self._interval_ns)
            yield stamp_ns, _readable(frame)

    def span_ns(self) -> tuple[int, int]:
        """Of the colour stream."""
        return self._span

    def close(self) -> None:
        """Close the file."""
        _stop(self._pipeline)


def open_realsense(serial: str, width: int, height: int, fps: float) -> RealSenseDevice | None:
    """The device of this serial number ("" = the first), or None where it is not plugged in.

    `width`, `height`, `fps`: of the colour stream, 0 = as librealsense chooses. Raises MissingExtraError,
    UsageError.
    """
    rs = library()
    # Asked first: a pipeline waits 15 s for a device that is not there.
    serials = [d.get_info(rs.camera_info.serial_number) for d in rs.context().query_devices()]
    if not serials or (serial and serial not in serials):
        return None
    config = rs.config()
    config.enable_device(serial or serials[0])
    config.enable_stream(rs.stream.color, -1, width, height, rs.format.any, round(fps))
    pipeline = rs.pipeline()
    try:
        return RealSenseDevice(rs, pipeline, pipeline.start(config))
    except RuntimeError as error:
        raise UsageError(
            f"the RealSense {serial or serials[0]} has no colour stream of {width}x{height} at {fps:g} Hz "
            f"({_first(error)}): set capture_size and rate to one it has, or to [] and 0.0"
        ) from error


def _readable(frame: Any) -> ImageArray | FrameError:
    try:
        return _pixels(frame)
    except FrameError as error:
        return error


def _pixels(frame: Any) -> ImageArray:
    """A copy, since librealsense uses the memory again. Raises FrameError."""
    name = str(frame.get_profile().format()).rpartition(".")[2]
    if name not in _ENCODINGS:
        raise FrameError(f"the colour stream comes as '{name}', which is not understood: set it to rgb8")
    encoding, pixel_bytes = _ENCODINGS[name]
    height, width, step = frame.get_height(), frame.get_width(), frame.get_stride_in_bytes()
    data = np.frombuffer(frame.get_data(), np.uint8).copy()
    return decode_raw(data, height, width, step or pixel_bytes * width, encoding)


def _model(stream: Any) -> CameraModel | None:
    """The calibration in the camera, where it has one."""
    i = stream.get_intrinsics()
    if min(i.fx, i.fy) <= 0.0:
        return None
    name = str(i.model).rpartition(".")[2]
    straight = not any(i.coeffs)
    # Brown-Conrady is ROS's plumb_bob; of the others only the lenses' scale is used.
    coefficients = () if straight or name != "brown_conrady" else tuple(float(c) for c in i.coeffs)
    return CameraModel(i.height, i.width, i.fx, i.fy, i.ppx, i.ppy, coefficients)


def _stop(pipeline: Any) -> None:
    try:
        pipeline.stop()
    except RuntimeError:
        return  # it has not been started, or its device is gone


def _first(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
