import numpy as np
import pytest

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.perception.frames import FramePairing


def frame(value):
    return np.full((2, 2, 3), value, np.uint8)


@pytest.fixture
def pairing():
    return FramePairing(("front", "back"), 2, 2)


def test_frames_of_one_stamp_are_stacked_in_the_listed_order_whoever_comes_first(pairing):
    assert pairing.add("back", 10, frame(2)) is None
    frames = pairing.add("front", 10, frame(1))
    assert frames.stamp_ns == 10
    assert frames.image[0, 0].tolist() == [1, 1, 1, 2, 2, 2]
    assert pairing.dropped == {"front": 0, "back": 0}


def test_a_frame_without_partner_is_counted_by_name_and_the_next_pair_goes_on(pairing):
    pairing.add("front", 10, frame(1))
    assert pairing.add("front", 20, frame(3)) is None
    assert pairing.add("back", 20, frame(4)).stamp_ns == 20
    assert pairing.dropped == {"front": 1, "back": 0}


def test_frames_of_different_stamps_are_never_mixed(pairing):
    pairing.add("front", 10, frame(1))
    assert pairing.add("back", 20, frame(2)) is None
    assert pairing.add("front", 20, frame(3)).image[0, 0].tolist() == [3, 3, 3, 2, 2, 2]


def test_one_camera_needs_no_partner():
    pairing = FramePairing(("front",), 1, 1)
    assert pairing.add("front", 10, frame(7)).image.tolist() == [[[7, 7, 7]]]


def test_a_frame_that_is_no_rgb_image_is_refused(pairing):
    pairing.add("front", 10, np.zeros((2, 2), np.uint8))
    with pytest.raises(FrameError):
        pairing.add("back", 10, frame(1))
    assert pairing.add("front", 20, frame(1)) is None
    assert pairing.add("back", 20, frame(1)) is not None
