"""Camera messages on their way into a recording: from one serialised form to another."""

from __future__ import annotations

from array import array
from collections.abc import Callable

import cv2
import numpy as np
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.nodes.image_messages import from_image

IMAGE_FORMATS = ("jpeg", "png", "raw")
IMAGE_KIND, COMPRESSED_KIND = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
_FASTEST_PNG = 1
_BGR = ("bgr8", "8UC3")
"""Encodings that OpenCV takes as they are."""


def compression(images: str, quality: int) -> Callable[[bytes], bytes] | None:
    """CDR of an Image to CDR of a CompressedImage with the same header; None for `images` "raw".

    `quality`: of JPEG, percent. What it returns raises FrameError.
    """
    if images == "raw":
        return None
    cv2.setNumThreads(1)
    options = (
        [cv2.IMWRITE_JPEG_QUALITY, quality]
        if images == "jpeg"
        else [cv2.IMWRITE_PNG_COMPRESSION, _FASTEST_PNG]
    )

    def compress(data: bytes) -> bytes:
        message = deserialize_message(data, Image)
        done, packed = cv2.imencode(f".{images}", _bgr(message), options)
        if not done:
            raise FrameError(f"an image of {message.width}x{message.height} cannot be stored as {images}")
        out = CompressedImage(header=message.header, format=f"rgb8; {images} compressed bgr8")
        out.data = array("B", packed.tobytes())
        return bytes(serialize_message(out))

    return compress


def _bgr(message: Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """(h, w, 3) uint8 in the order of OpenCV."""
    if message.encoding in _BGR and message.step == 3 * message.width:
        pixels = np.frombuffer(message.data, np.uint8)
        if pixels.size == message.height * message.step:
            return pixels.reshape(message.height, message.width, 3)
    return np.ascontiguousarray(from_image(message)[..., ::-1])
