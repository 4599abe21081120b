"""A thread that reads pictures and never gives up: the newest one waits to be taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from safe_o2o_ros.errors import FrameError, UsageError
from safe_o2o_ros.perception.camera_model import CameraModel
from safe_o2o_ros.perception.readers import Reader
from safe_o2o_ros.types import ImageArray

_JOIN_S = 2.0
_ERRORS = 30
"""Unreadable pictures in a row after which a device is opened again."""


@dataclass(frozen=True)
class Shot:
    """One picture as it was captured."""

    stamp_ns: int
    """Time of capture on the clock that was given."""
    image: ImageArray
    """(h, w, 3) uint8 RGB."""
    model: CameraModel | None = None
    """The source's own calibration."""


@dataclass(frozen=True)
class Pace:
    """How a source is read."""

    timed: bool
    """False: as fast as it gives pictures (a device). True: at `rate_hz` (a file)."""
    rate_hz: float = 0.0
    """0 = the file's own rate."""
    loop: bool = False
    """Begin again at the end."""
    backoff_s: tuple[float, float] = (0.5, 8.0)
    """First and longest wait before a source is opened again, seconds; doubled in between."""


class Capture:
    """Opens, reads, and opens again with growing waits when a source ends or fails."""

    def __init__(
        self,
        open_reader: Callable[[], Reader | None],
        pace: Pace,
        clock_ns: Callable[[], int],
        notify: Callable[[], None],
    ) -> None:
        """`clock_ns`: the clock of the stamps; `notify` is called from the thread for every picture."""
        self._open_reader = open_reader
        self._pace = pace
        self._clock_ns = clock_ns
        self._notify = notify
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._newest: Shot | None = None
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self.state = "opening"
        """opening, running, disconnected, ended."""
        self.problem = ""
        """What the last failure was, "" while running."""
        self.reconnects = 0
        """Times an open source was lost."""
        self.replaced = 0
        """Pictures that were never taken, because a newer one came."""
        self.refused = 0
        """Pictures that could not be read."""

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End; waits a little for a read that blocks."""
        self._stopping.set()
        self._thread.join(_JOIN_S)

    def take(self) -> Shot | None:
        """The newest picture that was not taken yet."""
        with self._lock:
            shot, self._newest = self._newest, None
        return shot

    def _run(self) -> None:
        first, longest = self._pace.backoff_s
        wait_s = first
        while not self._stopping.is_set():
            pictures = self._session()
            if self.state == "ended":
                return
            wait_s = first if pictures else min(longest, 2.0 * wait_s)
            if not (pictures and self._pace.loop):
                self._stopping.wait(wait_s)

    def _session(self) -> int:
        """From one opening to its end; returns how many pictures there were."""
        try:
            reader = self._open_reader()
        except UsageError as error:
            self._lost(str(error))
            return 0
        if reader is None:
            self._lost("it cannot be opened")
            return 0
        try:
            return self._read_all(reader)
        finally:
            reader.close()

    def _read_all(self, reader: Reader) -> int:
        count = errors = 0
        interval_s = 1.0 / (self._pace.rate_hz or reader.fps)
        due_s = time.monotonic()
        while not self._stopping.is_set():
            try:
                image = reader.read()
            except FrameError as error:
                self.refused += 1
                self.problem = str(error)
                errors += 1
                if errors >= _ERRORS and not self._pace.timed:
                    self._lost(self.problem)
                    break
                if self._stopping.wait(interval_s):
                    break
                continue
            errors = 0
            if image is None:
                self._end(count)
                break
            age_ns = reader.capture_age_ns(time.monotonic_ns())
            self._give(Shot(self._clock_ns() - age_ns, image, reader.model))
            count += 1
            if self._pace.timed:
                # After a pause of the machine time is not made up for: pictures would come in a burst.
                due_s = max(due_s + interval_s, time.monotonic())
                self._stopping.wait(due_s - time.monotonic())
        return count

    def _give(self, shot: Shot) -> None:
        with self._lock:
            if self._newest is not None:
                self.replaced += 1
            self._newest = shot
        self.state, self.problem = "running", ""
        if not self._stopping.is_set():  # whom it would wake may be gone
            self._notify()

    def _end(self, count: int) -> None:
        if not self._pace.timed:
            self._lost("it gives no more pictures")
        elif count == 0:
            self._lost("it holds no picture that can be read")
        elif not self._pace.loop:
            self.state, self.problem = "ended", "the file has ended"

    def _lost(self, problem: str) -> None:
        if self.state == "running":
            self.reconnects += 1
        self.state, self.problem = "disconnected", problem
