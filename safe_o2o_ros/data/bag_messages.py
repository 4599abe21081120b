"""Fields of deserialised ROS messages: images, twists, numbers by path. No ROS is needed."""

from __future__ import annotations

import re
from typing import Any

from safe_o2o_ros.errors import RecordingError
from safe_o2o_ros.perception.decode import ENCODINGS, decode_compressed, decode_raw
from safe_o2o_ros.types import ImageArray

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
TWIST, TWIST_STAMPED = "geometry_msgs/msg/Twist", "geometry_msgs/msg/TwistStamped"
ODOMETRY = "nav_msgs/msg/Odometry"
STRING, FLOAT, BOOL = "std_msgs/msg/String", "std_msgs/msg/Float32", "std_msgs/msg/Bool"
IMAGES = (IMAGE, COMPRESSED)
COMMANDS = (TWIST, TWIST_STAMPED)
TWIST_AT = {TWIST: "", TWIST_STAMPED: "twist.", ODOMETRY: "twist.twist."}
"""Where the fields of a twist stand in each type."""
_PART = re.compile(r"(?P<name>[A-Za-z_]\w*)(\[(?P<index>\d+)\])?")
_NS = 1_000_000_000
UNSTAMPED = -1
"""Header stamp of a message whose type has none."""


def header_ns(message: Any) -> int:
    """The header's stamp in nanoseconds; UNSTAMPED where the type has no header."""
    header = getattr(message, "header", None)
    if header is None:
        return UNSTAMPED
    return int(header.stamp.sec) * _NS + int(header.stamp.nanosec)


def drop_reason(message: Any, kind: str) -> str | None:
    """Why an image cannot be one, told without decoding it; None: it may be."""
    if kind == COMPRESSED:
        return None if len(message.data) else "no pixels"
    if message.height < 1 or message.width < 1 or not len(message.data):
        return "no pixels"
    return None if message.encoding in ENCODINGS else "unknown encoding"


def image_of(message: Any, kind: str) -> ImageArray:
    """The pixels, (h, w, 3) uint8 RGB. Raises FrameError."""
    if kind == COMPRESSED:
        return decode_compressed(message.data.tobytes(), str(message.format))
    return decode_raw(
        message.data,
        int(message.height),
        int(message.width),
        int(message.step),
        str(message.encoding),
        bool(message.is_bigendian),
    )


def value_at(message: Any, path: str) -> float:
    """The number or truth value at a dotted path such as "twist.linear.x" or "ranges[0]".

    Raises RecordingError where there is none.
    """
    found = message
    for part in path.split("."):
        match = _PART.fullmatch(part)
        if match is None:
            raise RecordingError(f"'{path}' is no path of a field, such as twist.linear.x or ranges[0]")
        try:
            found = getattr(found, match["name"])
            if match["index"] is not None:
                found = found[int(match["index"])]
        except (AttributeError, IndexError, TypeError) as error:
            raise RecordingError(f"a message has no field '{path}'") from error
    try:
        return float(found)
    except (TypeError, ValueError) as error:
        raise RecordingError(f"the field '{path}' of a message is no number") from error
