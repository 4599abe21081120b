"""In lockstep a frame that comes late still completes its set."""

from __future__ import annotations

import numpy as np
from support.driving import CAMERAS

from safe_o2o_ros.online.frame_sets import ExactFrameSets


def picture(value, side=4):
    return np.full((side, side, 3), value, np.uint8)


def test_a_frame_that_was_sent_again_completes_its_set_and_the_order_is_kept():
    sets = ExactFrameSets(CAMERAS, 4, 4)
    assert sets.add("back", 1, picture(11)) is None
    assert sets.add("back", 2, picture(12)) is None
    first, second = sets.add("front", 1, picture(1)), sets.add("front", 2, picture(2))
    assert [f.stamp_ns for f in (first, second)] == [1, 2]
    assert (first.image[0, 0].tolist(), second.image[0, 0].tolist()) == (
        [1] * 3 + [11] * 3,
        [2] * 3 + [12] * 3,
    )
    assert sets.dropped == 0


def test_a_set_that_can_never_be_complete_is_forgotten_and_counted():
    sets = ExactFrameSets(CAMERAS, 4, 4)
    sets.add("front", 1, picture(1))
    sets.add("front", 2, picture(2))
    assert sets.add("back", 2, picture(2)).stamp_ns == 2
    assert sets.dropped == 1


def test_frames_of_another_size_are_resized():
    assert ExactFrameSets(("front",), 4, 4).add("front", 1, picture(7, 8)).image.shape == (4, 4, 3)
