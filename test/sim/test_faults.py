"""Faults of cameras and links, on hand-made pictures and times."""

from __future__ import annotations

import numpy as np
import pytest

from safe_o2o_ros.sim.faults import NONE, CameraFaults, DelayLine, Faults, Shot, blurred, shifted


def shot(number: int) -> Shot:
    """A frame of 2 x 3 pixels that all have the value `number`, taken at that many nanoseconds."""
    return Shot(number, np.full((2, 3, 3), number, np.uint8))


def told(faults: Faults, before: int = 0, frames: int = 3, seed: int = 0) -> list[tuple[int, int] | None]:
    """Stamp and value of what leaves: `before` healthy frames, then `frames` frames with the faults."""
    camera = CameraFaults(seed)
    for number in range(before):
        camera.apply("front", shot(number), NONE)
    left = [camera.apply("front", shot(number), faults) for number in range(before, before + frames)]
    return [None if s is None else (s.stamp_ns, int(s.pixels[0, 0, 0])) for s in left]


def test_without_faults_a_frame_leaves_as_it_came() -> None:
    frame = shot(1)
    left = CameraFaults(0).apply("front", frame, NONE)
    assert left is not None and left.stamp_ns == 1 and left.pixels is frame.pixels
    assert NONE.active() == ()


def test_a_stuck_sensor_repeats_the_last_pixels_under_new_stamps() -> None:
    assert told(Faults(camera_freeze="pixels"), before=2) == [(2, 1), (3, 1), (4, 1)]


def test_a_dead_driver_repeats_the_last_message_with_its_stamp() -> None:
    assert told(Faults(camera_freeze="message"), before=2) == [(1, 1), (1, 1), (1, 1)]


def test_the_first_frame_freezes_where_there_is_none_before_it() -> None:
    assert told(Faults(camera_freeze="pixels")) == [(0, 0), (1, 0), (2, 0)]


def test_a_thawed_camera_shows_the_present_and_freezes_there_again() -> None:
    camera, frozen = CameraFaults(0), Faults(camera_freeze="pixels")
    faults = [NONE, frozen, NONE, frozen]
    left = [camera.apply("front", shot(n), f) for n, f in enumerate(faults)]
    assert [int(s.pixels[0, 0, 0]) for s in left if s is not None] == [0, 0, 2, 2]


def test_the_share_of_dropped_frames_is_as_asked_and_repeats_with_the_seed() -> None:
    assert told(Faults(camera_drop=1.0)) == [None, None, None]
    half = told(Faults(camera_drop=0.5), frames=200)
    assert 80 < half.count(None) < 120
    assert half == told(Faults(camera_drop=0.5), frames=200)
    assert half != told(Faults(camera_drop=0.5), frames=200, seed=1)


def test_only_the_named_camera_has_the_fault() -> None:
    faults, camera = Faults(camera="back", camera_drop=1.0), CameraFaults(0)
    assert camera.apply("front", shot(1), faults) is not None
    assert camera.apply("back", shot(1), faults) is None


def test_a_blur_spreads_a_bright_pixel_as_a_gaussian() -> None:
    picture = np.zeros((9, 9, 3), np.uint8)
    picture[4, 4] = 255
    # Of the weights exp(-k^2 / 2), normalised: 0.3991 in the middle, 0.2420 beside it, 0.0540 next.
    row = blurred(picture, 1.0)[4, :, 0]
    assert row.tolist() == pytest.approx([0, 0, 5, 25, 41, 25, 5, 0, 0], abs=1)
    assert row[4] == round(255 * 0.3991**2)


def test_a_blur_leaves_an_even_picture_even_up_to_its_edges() -> None:
    picture = np.full((6, 8, 3), 200, np.uint8)
    assert (blurred(picture, 3.0) == 200).all()


def test_an_offset_moves_the_picture_and_repeats_the_edge() -> None:
    row = np.array([[1, 2, 3, 4]], np.uint8)
    picture = np.repeat(row[..., None], 3, axis=2)
    assert shifted(picture, 1)[0, :, 0].tolist() == [1, 1, 2, 3]
    assert shifted(picture, -2)[0, :, 0].tolist() == [3, 4, 4, 4]
    assert shifted(picture, 100)[0, :, 0].tolist() == [1, 1, 1, 1]
    assert shifted(picture, 0) is picture


def test_a_frozen_picture_is_seen_through_the_blurred_and_shifted_lens() -> None:
    camera = CameraFaults(0)
    rng = np.random.default_rng(0)
    first, second = (Shot(n, rng.integers(0, 256, (8, 8, 3), np.uint8)) for n in (1, 2))
    camera.apply("front", first, NONE)
    left = camera.apply("front", second, Faults(camera_freeze="pixels", camera_blur=1.5, camera_offset=2))
    assert left is not None and left.stamp_ns == 2
    assert np.array_equal(left.pixels, shifted(blurred(first.pixels, 1.5), 2))


def test_a_delay_line_hands_on_in_order_once_the_time_has_come() -> None:
    line: DelayLine[str] = DelayLine()
    line.push("a", 1.0)
    line.push("b", 1.25)
    assert line.due(1.4, 0.5) == []
    assert line.due(1.5, 0.5) == [(1.0, "a")]
    assert line.due(9.0, 0.5) == [(1.25, "b")]


def test_when_the_delay_ends_everything_that_waits_leaves_in_order() -> None:
    line: DelayLine[str] = DelayLine()
    line.push("a", 1.0)
    line.push("b", 1.1)
    assert [item for _, item in line.due(1.2, 0.0)] == ["a", "b"]
    assert len(line) == 0


def test_the_faults_that_are_on_are_listed_by_name() -> None:
    assert Faults(camera="front", camera_blur=1.0, odom_freeze=True).active() == (
        "camera_blur",
        "odom_freeze",
    )
