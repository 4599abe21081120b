from array import array

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.nodes import conversions
from safe_o2o_ros.nodes.image_messages import from_image

STAMP_NS = 1_700_000_000_123_456_789


def test_an_image_comes_back_pixel_for_pixel():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    message = conversions.to_image(pixels, STAMP_NS, "front_optical_frame")
    assert (message.height, message.width, message.step, message.encoding) == (4, 5, 15, "rgb8")
    assert np.array_equal(from_image(message), pixels)


def test_padding_byte_order_and_encoding_of_the_message_are_followed():
    message = Image(height=1, width=2, step=8, encoding="bgr8")
    message.data = array("B", [1, 2, 3, 4, 5, 6, 0, 0])
    assert from_image(message).tolist() == [[[3, 2, 1], [6, 5, 4]]]
    message = Image(height=1, width=1, step=2, encoding="mono16", is_bigendian=1, data=array("B", [7, 0]))
    assert from_image(message).tolist() == [[[7, 7, 7]]]


def test_a_compressed_message_is_decoded_as_its_format_says():
    png = cv2.imencode(".png", np.full((2, 2, 3), [1, 2, 3], np.uint8))[1].tobytes()
    message = CompressedImage(format="png", data=array("B", png))
    assert from_image(message).tolist() == [[[3, 2, 1]] * 2] * 2
    message.format = "rgb8; png compressed rgb8"
    assert from_image(message).tolist() == [[[1, 2, 3]] * 2] * 2


@pytest.mark.parametrize(
    ("encoding", "step", "size", "word"),
    [
        ("32FC1", 8, 8, "32FC1"),
        ("rgb8", 6, 5, "5 bytes"),
        ("rgb8", 3, 3, "step 3"),
        ("rgb8", 6, 0, "0 bytes"),
    ],
)
def test_an_image_that_contradicts_itself_is_refused(encoding, step, size, word):
    message = Image(height=1, width=2, step=step, encoding=encoding, data=array("B", [0] * size))
    with pytest.raises(FrameError, match=word):
        from_image(message)
