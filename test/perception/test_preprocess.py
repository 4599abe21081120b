"""Camera images to the encoder's image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.perception.preprocess import resize, stack


def flat(value: int, size: tuple[int, int] = (4, 4)) -> np.ndarray:
    return np.full((*size, 3), value, np.uint8)


def test_an_image_that_fits_is_not_copied() -> None:
    image = flat(7)
    assert resize(image, 4, 4) is image


def test_shrinking_averages_areas() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[:2, :2, 0] = [[10, 20], [30, 40]]  # mean 25
    image[2:, 2:, 2] = 255
    small = resize(image, 2, 2)
    assert small.shape == (2, 2, 3) and small.dtype == np.uint8
    assert small[..., 0].tolist() == [[25, 0], [0, 0]] and small[..., 2].tolist() == [[0, 0], [0, 255]]


@settings(max_examples=40)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 16), st.integers(1, 16), st.integers(0, 255))
def test_a_plain_image_of_any_size_stays_plain(
    height: int, width: int, new_height: int, new_width: int, value: int
) -> None:
    resized = resize(flat(value, (height, width)), new_height, new_width)
    assert resized.shape == (new_height, new_width, 3) and (resized == value).all()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 0, 3), np.uint8),
    ],
)
def test_what_is_not_an_rgb_image_is_refused(image: np.ndarray) -> None:
    with pytest.raises(FrameError, match=r"must be \(h, w, 3\) uint8 RGB"):
        resize(image, 2, 2)


def test_cameras_stack_on_channels_in_the_order_of_the_bundle() -> None:
    images = {"back": flat(2), "front": flat(1, (8, 8)), "unused": flat(9)}
    stacked = stack(images, ("front", "back"), 4, 4)
    assert stacked.shape == (4, 4, 6)
    assert stacked[0, 0].tolist() == [1, 1, 1, 2, 2, 2]
    assert stack(images, ("back", "front"), 4, 4)[0, 0].tolist() == [2, 2, 2, 1, 1, 1]


def test_a_missing_camera_is_named() -> None:
    with pytest.raises(FrameError, match="no image of camera 'back'.*got front"):
        stack({"front": flat(1)}, ("front", "back"), 4, 4)
    with pytest.raises(FrameError, match="got none"):
        stack({}, ("front",), 4, 4)
