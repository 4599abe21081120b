"""Camera messages to pixels and calibrations, and back. Pure: no node, no clock."""

from __future__ import annotations

from sensor_msgs.msg import CompressedImage, Image

from safe_o2o_ros.perception.decode import decode_compressed, decode_raw
from safe_o2o_ros.types import ImageArray


def from_image(message: Image | CompressedImage) -> ImageArray:
    """An image of any usual encoding to (h, w, 3) uint8 RGB. Raises FrameError."""
    if isinstance(message, CompressedImage):
        return decode_compressed(message.data, message.format)
    return decode_raw(
        message.data,
        int(message.height),
        int(message.width),
        int(message.step),
        message.encoding,
        bool(message.is_bigendian),
    )
