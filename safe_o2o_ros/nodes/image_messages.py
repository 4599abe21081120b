"""Camera messages to pixels and calibrations, and back. Pure: no node, no clock."""

from __future__ import annotations

from array import array

from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.nodes.conversions import to_time
from safe_o2o_ros.perception.camera_model import CameraModel, checked_distortion
from safe_o2o_ros.perception.decode import decode_compressed, decode_raw, encode_jpeg
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


def to_compressed_image(pixels: ImageArray) -> CompressedImage:
    """(h, w, 3) uint8 RGB as a JPEG message without a stamp."""
    return CompressedImage(format="rgb8; jpeg compressed bgr8", data=array("B", encode_jpeg(pixels)))


def from_camera_info(message: CameraInfo) -> CameraModel | None:
    """The calibration of the images the message comes with; None from a camera that is not calibrated.

    Raises FrameError.
    """
    if not any(message.k):
        return None
    k, d = [float(x) for x in message.k], tuple(float(x) for x in message.d)
    model = CameraModel(
        height=int(message.height),
        width=int(message.width),
        fx=k[0],
        fy=k[4],
        cx=k[2],
        cy=k[5],
        distortion=d,
        distortion_model=checked_distortion(message.distortion_model, d),
    )
    # The matrix is of the full sensor; the images may be a part of it, and binned.
    roi = message.roi
    if roi.width and roi.height:
        model = model.cropped(roi.x_offset, roi.y_offset, roi.width, roi.height)
    if message.binning_x > 1 or message.binning_y > 1:
        height, width = model.height // max(1, message.binning_y), model.width // max(1, message.binning_x)
        if min(height, width) < 1:
            raise FrameError("a camera_info has more binning than pixels: mend the camera driver")
        model = model.resized(height, width)
    return model


def to_camera_info(
    model: CameraModel | None, height: int, width: int, stamp_ns: int, frame_id: str
) -> CameraInfo:
    """The calibration of images of `height` x `width`; all zeros, as ROS has it, where there is none."""
    message = CameraInfo()
    message.header.stamp = to_time(stamp_ns)
    message.header.frame_id = frame_id
    message.height, message.width = int(height), int(width)
    if model is None:
        return message
    fx, fy, cx, cy = float(model.fx), float(model.fy), float(model.cx), float(model.cy)
    message.distortion_model = model.distortion_model
    message.d = [float(x) for x in model.distortion] or [0.0] * 5
    message.k = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return message
