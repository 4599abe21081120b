"""Raw and compressed camera data of the usual encodings to (h, w, 3) uint8 RGB: pixels or a FrameError."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.types import ImageArray

MAX_PIXELS = 64_000_000
"""Compressed pictures that claim more are refused before memory is taken for them."""

_BYTES = {"rgb8": 3, "bgr8": 3, "8UC3": 3, "rgba8": 4, "bgra8": 4, "8UC4": 4, "mono8": 1, "8UC1": 1}
_COLOUR = {
    "bgr8": "COLOR_BGR2RGB",
    "8UC3": "COLOR_BGR2RGB",
    "rgba8": "COLOR_RGBA2RGB",
    "bgra8": "COLOR_BGRA2RGB",
    "8UC4": "COLOR_BGRA2RGB",
    "mono8": "COLOR_GRAY2RGB",
    "8UC1": "COLOR_GRAY2RGB",
}
"""OpenCV's conversion to RGB. Generic channels (8UC3, 8UC4) have OpenCV's own order, blue first."""
_MONO16 = ("mono16", "16UC1")
_YUV422 = {
    "yuv422": "COLOR_YUV2RGB_UYVY",
    "uyvy": "COLOR_YUV2RGB_UYVY",
    "yuv422_yuy2": "COLOR_YUV2RGB_YUY2",
    "yuyv": "COLOR_YUV2RGB_YUY2",
}
_YUV420 = {"nv12": "COLOR_YUV2RGB_NV12", "nv21": "COLOR_YUV2RGB_NV21"}
_BAYER = {f"bayer_{order}8": f"COLOR_Bayer{order.upper()}2RGB" for order in ("rggb", "bggr", "gbrg", "grbg")}
ENCODINGS = (*_BYTES, *_MONO16, *_YUV422, *_YUV420, *_BAYER)
"""What `decode_raw` understands, by the names of sensor_msgs."""

_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_PNG_TAIL = b"IEND\xaeB`\x82"
_JPEG_HEAD = b"\xff\xd8"
_JPEG_TAIL = b"\xff\xd9"
_JPEG_SIZES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_JPEG_ALONE = {0x01, *range(0xD0, 0xD9)}
_JPEG_SCAN = 0xDA


def decode_raw(
    data: Any, height: int, width: int, step: int, encoding: str, big_endian: bool = False
) -> ImageArray:
    """The pixels of a raw image, (height, width, 3) uint8 RGB; a view of `data` for rgb8.

    `data`: any buffer; `step`: bytes per row, padding included; `encoding`: one of ENCODINGS. 16-bit
    grey keeps its upper byte. Raises FrameError.
    """
    if encoding not in ENCODINGS:
        raise FrameError(
            f"an image has the encoding '{encoding}', which is not understood: set the camera to rgb8 "
            f"or another of {', '.join(ENCODINGS)}"
        )
    pixel_bytes = _BYTES.get(encoding, 2 if encoding in _MONO16 or encoding in _YUV422 else 1)
    even = encoding in _YUV422 or encoding in _YUV420
    rows = height * 3 // 2 if encoding in _YUV420 else height
    flat = np.frombuffer(data, np.uint8) if len(data) else np.empty(0, np.uint8)
    wrong_size = min(height, width) < 1 or step < pixel_bytes * width or flat.size != rows * step
    if wrong_size or (even and width % 2) or (encoding in _YUV420 and height % 2):
        raise FrameError(
            f"a {encoding} image of {width}x{height} with step {step} has {flat.size} bytes, which do not "
            "fit together: mend the camera driver"
        )
    if encoding in _BAYER and min(height, width) < 3:
        raise FrameError(f"a {encoding} image of {width}x{height} has too few pixels to find its colours")
    packed = flat.reshape(rows, step)[:, : pixel_bytes * width]
    if encoding == "rgb8":
        return packed.reshape(height, width, 3)
    if encoding in _MONO16:
        upper = 0 if big_endian else 1
        return _convert("COLOR_GRAY2RGB", packed[:, upper::2])
    code = _COLOUR.get(encoding) or _YUV422.get(encoding) or _YUV420.get(encoding) or _BAYER[encoding]
    channels = () if pixel_bytes == 1 else (pixel_bytes,)
    return _convert(code, packed.reshape(rows, width, *channels))


def _convert(code: str, pixels: ImageArray) -> ImageArray:
    import cv2

    cv2.setNumThreads(1)
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), getattr(cv2, code)), np.uint8)


def decode_compressed(data: Any, description: str = "") -> ImageArray:
    """The pixels of a whole JPEG or PNG picture, (h, w, 3) uint8 RGB.

    `description`: the `format` of a CompressedImage; only its "compressed rgb8" (channels stored in
    reverse) matters, the kind of file is read from the data. Raises FrameError.
    """
    content = bytes(data)
    checks: dict[bytes, Callable[[bytes], tuple[int, int]]] = {
        _PNG_HEAD: _png_size,
        _JPEG_HEAD: _jpeg_size,
    }
    check = next((f for head, f in checks.items() if content.startswith(head)), None)
    if check is None:
        raise FrameError(
            f"a compressed image of {len(content)} bytes and format '{description[:40]}' is neither JPEG nor "
            "PNG: choose one of them in the camera driver"
        )
    height, width = check(content)
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        raise FrameError(
            f"a compressed image claims {width}x{height} pixels, but must have 1 to {MAX_PIXELS}: "
            "mend the camera driver"
        )
    import cv2

    cv2.setNumThreads(1)
    try:
        # A camera's picture is as the sensor saw it: a note to rotate it would change the geometry.
        pixels: NDArray[Any] | None = cv2.imdecode(
            np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        )
    except cv2.error:
        pixels = None
    if pixels is None or pixels.shape != (height, width, 3):
        raise FrameError(
            f"a compressed image of {len(content)} bytes is damaged: look for losses between camera and here"
        )
    reverse = description.strip().endswith("compressed rgb8")
    return np.asarray(pixels if reverse else _convert("COLOR_BGR2RGB", pixels), np.uint8)


def encode_jpeg(pixels: ImageArray) -> bytes:
    """(h, w, 3) uint8 RGB as a JPEG picture."""
    import cv2

    cv2.setNumThreads(1)
    return bytes(cv2.imencode(".jpg", _convert("COLOR_RGB2BGR", pixels))[1].tobytes())


def _png_size(content: bytes) -> tuple[int, int]:
    """(height, width) of a PNG that reaches its end. Raises FrameError."""
    if len(content) < 24 or _PNG_TAIL not in content[24:]:
        raise _truncated(content)
    width, height = struct.unpack(">II", content[16:24])
    return int(height), int(width)


def _jpeg_size(content: bytes) -> tuple[int, int]:
    """(height, width) of a JPEG that reaches its end. Raises FrameError.

    Decoders fill what a truncated picture lacks with grey and say nothing, so the end is looked for.
    """
    size = None
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF or marker in _JPEG_ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _JPEG_SIZES and at + 9 <= len(content):
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            size = (int(height), int(width))
        length = int.from_bytes(content[at + 2 : at + 4], "big")
        at += 2 + length
        if marker == _JPEG_SCAN:
            # In the scan's data the marker's first byte is always stuffed, so this is the true end.
            if size is None or content.find(_JPEG_TAIL, at) < 0:
                break
            return size
    raise _truncated(content)


def _truncated(content: bytes) -> FrameError:
    return FrameError(
        f"a compressed image of {len(content)} bytes is truncated: look for losses between camera and here"
    )
