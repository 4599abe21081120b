"""A recording that stands in for a camera: every picture, in order, at its time or as fast as it is taken."""

from __future__ import annotations

import bisect
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from safe_o2o_ros.errors import FrameError, RecordingError, UsageError
from safe_o2o_ros.perception.camera_model import CameraModel
from safe_o2o_ros.perception.capture import Shot
from safe_o2o_ros.types import ImageArray

REAL_TIME, FAST = "real_time", "fast"
PACES = (REAL_TIME, FAST)
NOW, RECORDED = "now", "recorded"
STAMPS = (NOW, RECORDED)
_JOIN_S = 2.0
_LONGEST_GAP_NS = 10_000_000_000
"""Recorded time without pictures that is not waited for: a stamp may be absurd."""
_INSTEAD_NS = 100_000_000


class RecordedReader(Protocol):
    """An open recording of one camera."""

    model: CameraModel | None
    """Calibration in the recording."""
    problem: str
    """What is damaged in it, "" if nothing is known to be."""

    def frames(self) -> Iterator[tuple[int, ImageArray | FrameError]]:
        """(time of capture, ns; (h, w, 3) uint8 RGB or why there is none), in the order of the recording."""
        ...

    def span_ns(self) -> tuple[int, int]:
        """Begin and end of the recording; the same for all its cameras. Valid after a pass over it."""
        ...

    def close(self) -> None:
        """Free what is held."""
        ...


class PlaybackClock:
    """Where recorded times lie now. One for all cameras of a recording: their stamps stay together."""

    def __init__(self, clock_ns: Callable[[], int]) -> None:
        """`clock_ns`: the clock of the stamps."""
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._from: list[int] = []
        self._offsets: list[tuple[int, int]] = []
        """Of each stretch: by what recorded times are moved, to the steady clock and to the stamps'."""
        self._latest = 0

    def at(self, recorded_ns: int) -> tuple[int, int]:
        """Steady time at which a picture is due and its stamp, ns. The first one is due at once.

        A gap of more than 10 s is cut to 0.1 s.
        """
        with self._lock:
            if not self._from:
                self._stretch(recorded_ns, time.monotonic_ns(), self._clock_ns())
            elif recorded_ns - self._latest > _LONGEST_GAP_NS:
                steady, stamp = self._offsets[-1]
                resumed_ns = self._latest + _INSTEAD_NS
                self._stretch(recorded_ns, resumed_ns + steady, resumed_ns + stamp)
            self._latest = max(self._latest, recorded_ns)
            stretch = max(0, bisect.bisect_right(self._from, recorded_ns) - 1)
            steady, stamp = self._offsets[stretch]
        return recorded_ns + steady, recorded_ns + stamp

    def _stretch(self, recorded_ns: int, steady_ns: int, stamp_ns: int) -> None:
        self._from.append(recorded_ns)
        self._offsets.append((steady_ns - recorded_ns, stamp_ns - recorded_ns))


class Playback:
    """Reads a recording in a thread. No picture is left out: each waits until the one before was taken."""

    def __init__(
        self,
        open_reader: Callable[[], RecordedReader],
        clock: PlaybackClock,
        notify: Callable[[], None],
        *,
        pace: str = REAL_TIME,
        stamps: str = NOW,
        loop: bool = False,
    ) -> None:
        """`notify` is called from the thread for every picture. `pace`: one of PACES.

        `stamps`: one of STAMPS; "now" moves the first picture to now and keeps the spacing.
        """
        self._open_reader, self._clock, self._notify = open_reader, clock, notify
        self._pace, self._stamps, self._loop = pace, stamps, loop
        self._stopping, self._begun = threading.Event(), threading.Event()
        self._taken = threading.Event()
        self._taken.set()
        self._lock = threading.Lock()
        self._newest: Shot | None = None
        self._thread = threading.Thread(target=self._run, name="playback", daemon=True)
        self.state = "opening"
        """opening, running, disconnected, ended."""
        self.problem = ""
        """What the last failure was, or is damaged."""
        self.replaced = 0
        """Always 0: none is replaced."""
        self.refused = 0
        """Pictures that could not be read."""

    def start(self) -> None:
        """Open the recording; the first picture waits for `begin`."""
        self._thread.start()

    def begin(self) -> None:
        """Somebody looks: let it run."""
        self._begun.set()

    def stop(self) -> None:
        """End; waits a little for a read that blocks."""
        self._stopping.set()
        self._taken.set()
        self._begun.set()
        self._thread.join(_JOIN_S)

    def take(self) -> Shot | None:
        """The next picture, if it is due."""
        with self._lock:
            shot, self._newest = self._newest, None
            if shot is not None:
                self._taken.set()
        return shot

    def _run(self) -> None:
        shift_ns = 0
        while not self._stopping.is_set():
            try:
                reader = self._open_reader()
            except (RecordingError, UsageError) as error:
                self.state, self.problem = "disconnected", str(error)
                return
            try:
                count = self._pass(reader, shift_ns)
            finally:
                reader.close()
            if self._stopping.is_set():
                return
            self.problem = reader.problem
            if not count:
                self.state, self.problem = (
                    "disconnected",
                    self.problem or "it holds no picture that can be read",
                )
                return
            if not self._loop:
                self.state, self.problem = "ended", self.problem or "the recording has ended"
                return
            start, end = reader.span_ns()
            shift_ns += end - start

    def _pass(self, reader: RecordedReader, shift_ns: int) -> int:
        """One time through; returns how many pictures were given."""
        count = 0
        for recorded_ns, image in reader.frames():
            if isinstance(image, FrameError):
                self.refused += 1
                self.problem = str(image)
                continue
            self._begun.wait()
            due_ns, now_ns = self._clock.at(recorded_ns + shift_ns)
            while self._pace == REAL_TIME and not self._stopping.is_set():
                left_s = (due_ns - time.monotonic_ns()) / 1e9
                if left_s <= 0.0:
                    break
                self._stopping.wait(left_s)
            while not self._taken.wait(0.1) and not self._stopping.is_set():
                pass
            if self._stopping.is_set():
                break
            stamp_ns = recorded_ns if self._stamps == RECORDED else now_ns
            with self._lock:
                self._taken.clear()
                self._newest = Shot(stamp_ns, image, reader.model)
            self.state, self.problem = "running", reader.problem
            count += 1
            self._notify()
        return count
