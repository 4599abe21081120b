"""A recording as a camera: nothing left out, recorded spacing kept, several cameras on one clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from safe_o2o_ros.errors import FrameError, RecordingError
from safe_o2o_ros.perception.capture import Shot
from safe_o2o_ros.perception.playback import FAST, NOW, REAL_TIME, RECORDED, Playback, PlaybackClock

DEADLINE_S = 20.0
MS = 1_000_000
BEGIN = 1_600_000_000 * 10**9


class FakeReader:
    """Pictures at given times; None = one that cannot be read."""

    model = None
    problem = ""

    def __init__(self, times_ns: list[int | None]) -> None:
        self._times = times_ns
        self.closed = False

    def frames(self) -> Iterator[tuple[int, np.ndarray | FrameError]]:
        for k, at_ns in enumerate(self._times):
            if at_ns is None:
                yield 0, FrameError("damaged")
            else:
                yield at_ns, np.full((1, 1, 3), k, np.uint8)

    def span_ns(self) -> tuple[int, int]:
        times = [t for t in self._times if t is not None]
        return times[0], times[-1] + 10 * MS

    def close(self) -> None:
        self.closed = True


class Taker:
    """Takes each picture when it is told of it, or when it is let."""

    def __init__(self, times_ns: list[int | None], clock: PlaybackClock, **how: object) -> None:
        self.shots: list[Shot] = []
        self.readers: list[FakeReader] = []
        self._told = threading.Semaphore(0)

        def opened() -> FakeReader:
            self.readers.append(FakeReader(times_ns))
            return self.readers[-1]

        self.playback = Playback(opened, clock, self._told.release, **how)  # type: ignore[arg-type]
        self.playback.start()
        self.playback.begin()

    def take(self, count: int) -> list[Shot]:
        for _ in range(count):
            assert self._told.acquire(timeout=DEADLINE_S), self.playback.problem
            shot = self.playback.take()
            assert shot is not None
            self.shots.append(shot)
        return self.shots

    def nothing_more(self) -> None:
        self.playback._thread.join(DEADLINE_S)
        assert not self.playback._thread.is_alive()
        assert not self._told.acquire(blocking=False)


def clock(start_ns: int = 5_000 * MS) -> PlaybackClock:
    return PlaybackClock(lambda: start_ns)


def spaced(count: int, ms: int = 10) -> list[int | None]:
    return [BEGIN + k * ms * MS for k in range(count)]


@pytest.mark.parametrize("pace", [REAL_TIME, FAST])
@pytest.mark.parametrize(("stamps", "first"), [(RECORDED, BEGIN), (NOW, 5_000 * MS)])
def test_every_picture_comes_once_in_order_with_its_spacing(pace: str, stamps: str, first: int) -> None:
    taker = Taker(spaced(20), clock(), pace=pace, stamps=stamps)
    shots = taker.take(20)
    taker.nothing_more()
    assert [int(s.image[0, 0, 0]) for s in shots] == list(range(20))
    assert [s.stamp_ns - first for s in shots] == [k * 10 * MS for k in range(20)]
    assert (taker.playback.state, taker.playback.problem) == ("ended", "the recording has ended")
    assert taker.readers[0].closed


def test_in_real_time_no_picture_comes_before_its_time() -> None:
    begin_ns = time.monotonic_ns()
    taker = Taker(spaced(6, ms=20), clock(), pace=REAL_TIME)
    taker.take(6)
    assert time.monotonic_ns() - begin_ns >= 100 * MS


def test_a_slow_taker_loses_nothing() -> None:
    taker = Taker(spaced(5, ms=1), clock(), pace=FAST)
    assert taker._told.acquire(timeout=DEADLINE_S)
    time.sleep(0.05)  # time for a reader that does not wait to run ahead
    shot = taker.playback.take()
    assert shot is not None and int(shot.image[0, 0, 0]) == 0
    assert [int(s.image[0, 0, 0]) for s in taker.take(4)] == [1, 2, 3, 4]
    assert taker.playback.replaced == 0


def test_what_cannot_be_read_is_counted_and_left_out() -> None:
    taker = Taker([BEGIN, None, BEGIN + 2 * MS], clock(), pace=FAST)
    assert [int(s.image[0, 0, 0]) for s in taker.take(2)] == [0, 2]
    taker.nothing_more()
    assert taker.playback.refused == 1


def test_played_again_the_stamps_go_on() -> None:
    taker = Taker(spaced(3), clock(0), pace=FAST, loop=True)
    stamps = [s.stamp_ns // MS for s in taker.take(7)]
    taker.playback.stop()
    assert stamps == [0, 10, 20, 30, 40, 50, 60]


def test_two_cameras_of_one_recording_keep_their_distance() -> None:
    shared = clock(0)
    front = Taker([BEGIN, BEGIN + 100 * MS], shared, pace=FAST)
    first = front.take(1)[0].stamp_ns
    back = Taker([BEGIN + 33 * MS, BEGIN + 133 * MS], shared, pace=FAST)
    assert [s.stamp_ns - first for s in back.take(2)] == [33 * MS, 133 * MS]
    assert front.take(1)[-1].stamp_ns - first == 100 * MS


def test_an_absurd_gap_is_not_waited_for_by_any_camera() -> None:
    shared, hour = clock(0), 3600 * 10**9
    front = Taker([BEGIN, BEGIN + hour, BEGIN + hour + 10 * MS], shared, pace=REAL_TIME)
    stamps = [s.stamp_ns for s in front.take(3)]
    assert stamps == [0, 100 * MS, 110 * MS]
    # Another camera, behind, is still before the gap.
    assert shared.at(BEGIN + 5 * MS)[1] == 5 * MS
    assert shared.at(BEGIN + hour + 20 * MS)[1] == 120 * MS


def test_the_first_picture_waits_until_somebody_looks() -> None:
    told = threading.Event()
    playback = Playback(lambda: FakeReader(spaced(2)), clock(), told.set, pace=FAST)
    playback.start()
    assert not told.wait(0.1) and playback.take() is None
    playback.begin()
    assert told.wait(DEADLINE_S) and playback.take() is not None
    playback.stop()


def test_an_empty_recording_and_one_that_is_gone_are_named() -> None:
    taker = Taker([None], clock())
    taker.nothing_more()
    assert (taker.playback.state, taker.playback.refused) == ("disconnected", 1)
    gone = Playback(_gone, clock(), lambda: None)
    gone.start()
    gone._thread.join(DEADLINE_S)
    assert (gone.state, gone.problem) == ("disconnected", "there is no recording")


def _gone() -> FakeReader:
    raise RecordingError("there is no recording")
