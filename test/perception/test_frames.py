import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.perception.frames import FramePairing

MS = 1_000_000


def frame(value):
    return np.full((2, 2, 3), value, np.uint8)


@pytest.fixture
def pairing():
    return FramePairing(("front", "back"), 2, 2)


@pytest.fixture
def loose():
    return FramePairing(("front", "back"), 2, 2, tolerance_s=0.02, longest_wait_s=0.5)


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


def test_a_frame_that_is_no_rgb_image_is_refused_when_it_comes_and_harms_no_other(pairing):
    with pytest.raises(FrameError):
        pairing.add("back", 10, np.zeros((2, 2), np.uint8))
    with pytest.raises(FrameError, match="'left'"):
        pairing.add("left", 10, frame(1))
    assert pairing.add("back", 10, frame(1)) is None
    assert pairing.add("front", 10, frame(1)) is not None


def test_stamps_within_the_tolerance_pair_and_the_set_carries_the_oldest(loose):
    loose.add("front", 100 * MS, frame(1))
    assert loose.add("back", 120 * MS, frame(2)).stamp_ns == 100 * MS
    loose.add("front", 200 * MS, frame(1))
    assert loose.add("back", 221 * MS, frame(2)) is None


def test_a_partner_that_is_due_closer_is_waited_for(loose):
    # The frame 18 ms before is further away than the next one, which is due in 15 ms.
    for stamp in (0, 33):
        loose.add("front", stamp * MS, frame(1))
    assert loose.add("back", 51 * MS, frame(2)) is None
    assert loose.add("front", 66 * MS, frame(3)).stamp_ns == 51 * MS
    assert loose.dropped == {"front": 2, "back": 0}


def test_cameras_that_start_out_of_step_settle_on_their_nearest_frames(loose):
    sets = []
    for i in range(6):
        for name, stamp in (("back", 33 * i - 15), ("front", 33 * i)):
            sets.append(loose.add(name, stamp * MS, frame(i)))
    pairs = [s for s in sets if s is not None]
    assert len(pairs) == 6
    assert all((s.stamp_ns // MS + 15) % 33 == 0 for s in pairs)


def test_a_repeated_frame_is_counted_and_never_used_again(pairing):
    pairing.add("front", 10, frame(1))
    pairing.add("back", 10, frame(2))
    assert pairing.add("front", 10, frame(1)) is None
    assert pairing.add("back", 10, frame(2)) is None
    assert pairing.repeated == {"front": 1, "back": 1}


def test_after_a_jump_back_nothing_of_the_time_before_is_paired(loose):
    loose.add("back", 5_000 * MS, frame(9))
    loose.add("front", 4_900 * MS, frame(1))
    assert loose.add("front", 1_000 * MS, frame(1)) is None
    assert loose.clock_jumps == {"front": 1, "back": 0}
    # The new time reaches the old one while the partner is silent.
    assert loose.add("front", 5_000 * MS, frame(1)) is None
    assert loose.add("back", 5_010 * MS, frame(2)).image[0, 0].tolist() == [1, 1, 1, 2, 2, 2]


def test_after_a_jump_forward_a_frame_does_not_wait_for_its_time_to_come(loose):
    loose.add("front", 10_000 * MS, frame(1), now_s=0.0)
    assert loose.add("back", 10_000 * MS, frame(2), now_s=10.0) is None
    assert loose.dropped["front"] == 1


STREAM = st.lists(
    st.tuples(
        st.sampled_from(["front", "back", "top"]), st.integers(0, 60), st.floats(0.0, 0.3, allow_nan=False)
    ),
    max_size=60,
)


@given(STREAM, st.integers(0, 10))
def test_whatever_the_stamps_a_set_is_close_fresh_and_made_of_new_frames(stream, tolerance):
    pairing = FramePairing(("front", "back", "top"), 1, 1, tolerance * 1e-9, longest_wait_s=0.5)
    now, used, received = 0.0, set(), {}
    for number, (camera, stamp, wait) in enumerate(stream):
        now += wait
        received[number] = (camera, stamp, now)
        frames = pairing.add(camera, stamp, np.full((1, 1, 3), number, np.uint8), now)
        if frames is None:
            continue
        numbers = frames.image[0, 0, ::3].tolist()
        parts = [received[n] for n in numbers]
        assert [p[0] for p in parts] == ["front", "back", "top"]
        stamps = [p[1] for p in parts]
        assert max(stamps) - min(stamps) <= tolerance and frames.stamp_ns == min(stamps)
        assert all(now - p[2] <= 0.5 for p in parts)
        assert not used & set(numbers)
        used |= set(numbers)
