"""What the encoder steps on, and what it says of cameras that give it nothing."""

from __future__ import annotations

import numpy as np
import pytest

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.manifest import ImageSpec
from safe_o2o_ros.perception.feed import FrameFeed
from safe_o2o_ros.types import Level

MS = 1_000_000
SPEC = ImageSpec(("front", "back"), 4, 4)
IMAGE = np.zeros((4, 4, 3), np.uint8)


def feed(lockstep: bool = False, tolerance_s: float = -1.0) -> FrameFeed:
    return FrameFeed(SPEC, 0.08, lockstep, tolerance_s, 0.0)


def test_two_cameras_at_30_hz_give_one_set_per_control_period() -> None:
    cameras = feed()
    sets = []
    for i in range(60):
        stamp = round(i * 1000 / 30)
        cameras.add("front", stamp * MS, IMAGE, stamp / 1000)
        sets.append(cameras.add("back", (stamp + 5) * MS, IMAGE, stamp / 1000 + 0.005))
    taken = [s.stamp_ns // MS for s in sets if s is not None]
    assert len(taken) == 25
    assert min(np.diff(taken)) > 60


def test_lockstep_pairs_equal_stamps_only_and_takes_every_set_however_late() -> None:
    cameras = feed(lockstep=True)
    cameras.add("front", 10 * MS, IMAGE, 0.0)
    assert cameras.add("back", 11 * MS, IMAGE, 0.0) is None
    assert cameras.add("front", 11 * MS, IMAGE, 99.0) is not None
    cameras.add("front", 12 * MS, IMAGE, 99.0)
    assert cameras.add("back", 12 * MS, IMAGE, 99.0) is not None


def test_half_a_period_is_the_default_tolerance_and_another_may_be_given() -> None:
    for tolerance, skew, paired in ((-1.0, 40, True), (-1.0, 41, False), (0.01, 11, False), (0.0, 0, True)):
        cameras = feed(tolerance_s=tolerance)
        cameras.add("front", 100 * MS, IMAGE, 0.0)
        assert (cameras.add("back", (100 + skew) * MS, IMAGE, 0.0) is not None) is paired


def test_a_new_episode_takes_its_first_set_at_once() -> None:
    cameras = feed()
    for stamp in (0, 20, 40):
        cameras.add("front", stamp * MS, IMAGE, 0.0)
        frames = cameras.add("back", stamp * MS, IMAGE, 0.0)
        assert (frames is not None) is (stamp != 20)
        if stamp == 20:
            cameras.restart()


def test_a_camera_without_frames_is_named_with_the_reason_if_one_is_known() -> None:
    cameras = feed()
    cameras.add("front", 10 * MS, IMAGE, 1.0)
    level, text, values = cameras.report(1.0, 0.7, {})
    assert (level, text) == (Level.ERROR, "no good frames of camera back for 1.0 s")
    assert values["silent_back_s"] == "1.0" and values["silent_front_s"] == "0.0"
    cameras.add("front", 20 * MS, IMAGE, 2.0)
    cameras.refuse("back", FrameError("it is garbage"))
    level, text, values = cameras.report(2.0, 0.7, {})
    assert text == "no good frames of camera back for 2.0 s: camera back: it is garbage"
    assert values["refused_back"] == 1 and values["dropped_front"] == 1


def test_a_rate_below_the_warning_is_named_with_both_rates() -> None:
    cameras = feed()
    for i in range(10):  # 5 Hz instead of 12.5
        for name in SPEC.cameras:
            cameras.add(name, 200 * i * MS, IMAGE, 0.2 * i)
    level, text, values = cameras.report(2.0, 0.7, {})
    assert (level, text) == (Level.WARN, "5.0 frame sets/s, expected 12.5")
    assert values["rate_hz"] == "5.0"
    assert feed().report(0.1, 0.0, {})[0] is Level.OK


def test_a_view_that_differs_is_a_warning() -> None:
    level, text, values = feed().report(0.1, 0.0, {"back": "camera back sees 45 degrees"})
    assert (level, text) == (Level.WARN, "camera back sees 45 degrees")
    assert values["view_back"] == text and values["view_front"] == "ok"


def test_a_frame_of_another_size_is_resized_as_in_training() -> None:
    cameras = feed(lockstep=True)
    cameras.add("front", 1, np.full((8, 12, 3), 9, np.uint8), 0.0)
    frames = cameras.add("back", 1, IMAGE, 0.0)
    assert frames is not None and frames.image.shape == (4, 4, 6)
    assert frames.image[0, 0].tolist() == [9, 9, 9, 0, 0, 0]


@pytest.mark.parametrize("lockstep", [True, False])
def test_numbers_start_at_zero(lockstep: bool) -> None:
    values = feed(lockstep).report(0.1, 0.7, {})[2]
    counts = {k: v for k, v in values.items() if k.startswith(("dropped", "repeated", "clock", "refused"))}
    assert len(counts) == 8 and set(counts.values()) == {0}
