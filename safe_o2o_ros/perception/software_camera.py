"""A RealSense made in software by librealsense itself: its real recorder and player, without hardware."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.perception.realsense import library
from safe_o2o_ros.types import ImageArray

FPS = 30
FIRST_MS = 1_700_000_000_000.0
SERIAL = "0001"
_RECORDED_MS = 5000


class SoftwareCamera:
    """A colour stream; `send` feeds it."""

    def __init__(self, width: int, height: int) -> None:
        """`width`, `height`: pixels. Raises MissingExtraError."""
        rs = library()
        self._rs, self._width, self._height, self._sent = rs, width, height, 0
        self.device = rs.software_device()
        self.device.register_info(rs.camera_info.name, "Software")
        self.device.register_info(rs.camera_info.serial_number, SERIAL)
        self.sensor = self.device.add_sensor("RGB")
        stream = rs.video_stream()
        stream.type, stream.index, stream.uid, stream.fmt = rs.stream.color, 0, 1, rs.format.rgb8
        stream.width, stream.height, stream.fps, stream.bpp = width, height, FPS, 3
        intrinsics = rs.intrinsics()
        intrinsics.width, intrinsics.height = width, height
        intrinsics.fx = intrinsics.fy = float(height)
        intrinsics.ppx, intrinsics.ppy = width / 2, height / 2
        intrinsics.model, intrinsics.coeffs = rs.distortion.brown_conrady, [0.1, 0.0, 0.0, 0.0, 0.0]
        stream.intrinsics = intrinsics
        self.profile = self.sensor.add_video_stream(stream).as_video_stream_profile()

    def send(self, image: ImageArray, stamp_ms: float) -> None:
        """One picture (height, width, 3) under a stamp of the system's clock."""
        rs = self._rs
        self._sent += 1
        frame: Any = rs.software_video_frame()
        frame.pixels, frame.stride, frame.bpp = image, 3 * self._width, 3
        frame.timestamp, frame.domain = stamp_ms, rs.timestamp_domain.system_time
        frame.frame_number, frame.profile = self._sent, self.profile
        self.sensor.on_video_frame(frame)

    def record(self, path: Path, count: int, image: Callable[[int], ImageArray]) -> list[int]:
        """Write a file of `count` pictures, 1/30 s apart; returns their stamps, ns. Raises FrameError."""
        rs = self._rs
        recorder = rs.recorder(str(path), self.device)
        (sensor,) = recorder.query_sensors()
        arrived = rs.frame_queue(1)
        sensor.open(sensor.get_stream_profiles()[0])
        sensor.start(arrived)
        stamps = [FIRST_MS + k * 1e3 / FPS for k in range(count)]
        for k, stamp_ms in enumerate(stamps):
            self.send(image(k), stamp_ms)
            found, _ = arrived.try_wait_for_frame(_RECORDED_MS)
            if not found:
                raise FrameError(f"librealsense did not record picture {k}: try again")
        sensor.stop()
        sensor.close()
        return [round(ms * 1e6) for ms in stamps]


def numbered(width: int, height: int) -> Callable[[int], ImageArray]:
    """Pictures that tell their number: k // 256 in green, k % 256 in red."""

    def picture(k: int) -> ImageArray:
        image = np.zeros((height, width, 3), np.uint8)
        image[..., 0], image[..., 1] = k % 256, k // 256
        return image

    return picture
