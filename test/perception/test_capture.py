"""Pictures from files and devices: read, paced, lost, opened again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from safe_o2o_ros.errors import FrameError, UsageError
from safe_o2o_ros.perception.capture import Capture, Pace, Shot
from safe_o2o_ros.perception.readers import (
    Reader,
    capture_age_ns,
    check_file,
    open_device,
    open_file,
)

DEADLINE_S = 20.0
RED = (0, 0, 255)  # in OpenCV's order


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Five red frames at 20 Hz."""
    path = tmp_path / "red.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20.0, (32, 16))
    for _ in range(5):
        writer.write(np.full((16, 32, 3), RED, np.uint8))
    writer.release()
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures with the values 0, 1, 2 and one damaged one between."""
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((2, 2, 3), i, np.uint8))
    (tmp_path / "0b.png").write_bytes(b"nothing")
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


class Watch:
    """Collects shots as they come."""

    def __init__(self, open_reader: Callable[[], Reader | None], pace: Pace) -> None:
        self.shots: list[Shot] = []
        self._changed = threading.Condition()
        self._time = 0
        self.capture = Capture(open_reader, pace, self._clock, self._on_shot)

    def _clock(self) -> int:
        self._time += 1
        return self._time

    def _on_shot(self) -> None:
        with self._changed:
            shot = self.capture.take()
            assert shot is not None
            self.shots.append(shot)
            self._changed.notify()

    def until(self, count: int) -> list[Shot]:
        """Wait for `count` shots."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.shots) >= count, DEADLINE_S), self.capture.problem
        return self.shots


@contextmanager
def watching(open_reader: Callable[[], Reader | None], pace: Pace) -> Iterator[Watch]:
    watch = Watch(open_reader, pace)
    watch.capture.start()
    try:
        yield watch
    finally:
        watch.capture.stop()


def joined(watch: Watch) -> None:
    """Wait for the thread's own end."""
    watch.capture._thread.join(DEADLINE_S)
    assert not watch.capture._thread.is_alive()


def test_a_video_is_read_to_its_end_in_rgb(video: Path) -> None:
    with watching(lambda: open_file(video), Pace(timed=True, rate_hz=500.0)) as watch:
        joined(watch)
        assert len(watch.shots) == 5 and watch.capture.state == "ended"
    assert watch.shots[0].image.shape == (16, 32, 3)
    assert np.abs(watch.shots[0].image.astype(int) - [255, 0, 0]).max() <= 3
    assert [s.stamp_ns for s in watch.shots] == [1, 2, 3, 4, 5]


def test_a_video_loops_when_asked(video: Path) -> None:
    with watching(lambda: open_file(video), Pace(timed=True, rate_hz=500.0, loop=True)) as watch:
        watch.until(12)
        assert watch.capture.state == "running" and watch.capture.reconnects == 0


def test_a_videos_own_rate_is_known(video: Path) -> None:
    reader = open_file(video)
    assert reader is not None and reader.fps == pytest.approx(20.0)
    reader.close()


def test_a_folder_is_read_in_order_and_a_damaged_picture_is_counted_and_skipped(folder: Path) -> None:
    with watching(lambda: open_file(folder), Pace(timed=True, rate_hz=500.0)) as watch:
        joined(watch)
    assert [int(s.image[0, 0, 0]) for s in watch.shots] == [0, 1, 2]
    assert watch.capture.refused == 1


@pytest.mark.parametrize(
    ("name", "words"), [("nowhere.mp4", "does not exist"), ("text.mp4", "no video"), ("", "no PNG or JPEG")]
)
def test_what_is_no_source_of_pictures_is_refused_before_the_start(
    name: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(UsageError, match=words):
        check_file(tmp_path / name)


def test_a_device_that_is_not_there_does_not_open(tmp_path: Path) -> None:
    assert open_device("/dev/video97", 0, 0, 0.0) is None
    assert open_device(str(tmp_path / "none"), 640, 480, 30.0) is None


class FakeReader:
    """Gives `count` pictures, then none, as an unplugged camera does."""

    fps = 1000.0
    model = None

    def __init__(self, count: int, error_at: int = -1) -> None:
        self._left = count
        self._error_at = error_at
        self.closed = False

    def read(self) -> np.ndarray | None:
        """One picture."""
        if self._left == self._error_at:
            self._error_at = -1
            raise FrameError("a damaged frame")
        if self._left == 0:
            return None
        self._left -= 1
        return np.zeros((1, 1, 3), np.uint8)

    def capture_age_ns(self, monotonic_ns: int) -> int:
        """Always taken 7 ns ago."""
        return 7

    def close(self) -> None:
        """Note it."""
        self.closed = True


def test_a_lost_device_is_opened_again_until_it_is_back() -> None:
    readers = [FakeReader(2), None, None, FakeReader(3)]
    opened = iter(readers)
    pace = Pace(timed=False, backoff_s=(0.001, 0.002))
    with watching(lambda: next(opened, None), pace) as watch:
        shots = watch.until(5)
        assert watch.capture.reconnects >= 1
    assert [s.stamp_ns for s in shots] == [1 - 7, 2 - 7, 3 - 7, 4 - 7, 5 - 7]
    assert all(r is None or r.closed for r in readers)


def test_a_damaged_frame_does_not_end_a_device() -> None:
    opened = iter([FakeReader(4, error_at=2)])
    with watching(lambda: next(opened, None), Pace(timed=False, backoff_s=(0.001, 0.001))) as watch:
        watch.until(4)
    assert watch.capture.refused == 1


def test_only_the_newest_picture_waits_and_the_others_are_counted() -> None:
    done = threading.Event()

    class Silent(FakeReader):
        def close(self) -> None:
            done.set()

    opened = iter([Silent(3)])
    times = iter(range(10, 100))
    capture = Capture(lambda: next(opened, None), Pace(timed=False), lambda: next(times), lambda: None)
    capture.start()
    assert done.wait(DEADLINE_S)
    shot = capture.take()
    capture.stop()
    assert shot is not None and shot.stamp_ns == 12 - 7
    assert capture.replaced == 2 and capture.take() is None
    assert capture.state == "disconnected" and capture.problem == "it gives no more pictures"


def test_the_drivers_stamp_is_believed_only_where_it_is_of_the_monotonic_clock() -> None:
    now = 5_000_000_000
    assert capture_age_ns(now, 4_970.0) == 30_000_000
    assert capture_age_ns(now, 0.0) == 0  # no stamp
    assert capture_age_ns(now, 5_001.0) == 0  # the future
    assert capture_age_ns(now, 3_000.0) == 0  # two seconds ago
    assert capture_age_ns(now, float("nan")) == 0
