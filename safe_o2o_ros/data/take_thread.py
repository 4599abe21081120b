"""Takes to disk in a thread of its own, so that a slow disk delays no message."""

from __future__ import annotations

import queue
import shutil
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from safe_o2o_ros.data.take_events import End, Finished, Heard, Open
from safe_o2o_ros.data.takes import Take, TakeFolder, remove
from safe_o2o_ros.errors import FrameError, RecordingError

QUEUE_FULL, DISK, UNREADABLE = "queue_full", "disk", "unreadable"
"""Causes of losses: the disk did not keep up; it refused; a picture that is none."""
_SYNC_S = 1.0
_FREE_S = 0.5
_WAIT_S = 0.2


class TakeThread:
    """Commands and messages are obeyed in their order. Counters are for everybody to read.

    Of every topic: offered = written + waiting + dropped.
    """

    def __init__(self, folder: TakeFolder, queue_bytes: int, min_free_bytes: int) -> None:
        """`queue_bytes`: of messages that may wait; what comes then is dropped.

        `min_free_bytes`: of the disk, below which nothing is recorded.
        """
        self._folder, self._queue_bytes, self._min_free = folder, queue_bytes, min_free_bytes
        self._queue: queue.SimpleQueue[Heard | Open | End | None] = queue.SimpleQueue()
        self._taken_bytes = self._offered_bytes = 0
        self.offered: Counter[str] = Counter()
        """Messages of takes, by topic."""
        self.written: Counter[str] = Counter()
        """Those in a file; they survive the death of this process. Discarded takes stay counted."""
        self.dropped: Counter[str] = Counter({QUEUE_FULL: 0, DISK: 0, UNREADABLE: 0})
        """By cause."""
        self.dropped_of: Counter[str] = Counter()
        """By topic."""
        self.bytes = 0
        """Written, of all takes."""
        self.problem = ""
        """Why recording has stopped, "" if it has not."""
        self.failures = 0
        """How often it has."""
        self.discarded = 0
        """Takes that were thrown away, empty ones not counted."""
        self.finished: queue.SimpleQueue[Finished] = queue.SimpleQueue()
        """Takes that have ended, for the owner to take out."""
        self.current = ""
        """Name of the take that is written."""
        self._take: Take | None = None
        self._messages = self._frames = 0
        self._kept: list[Path] = []
        self._synced_s = self._looked_s = 0.0
        self._thread = threading.Thread(target=self._run, name="takes", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """The thread runs; it ends before `close` only by a defect."""
        return self._thread.is_alive()

    @property
    def waiting_bytes(self) -> int:
        """Bytes of messages that wait."""
        return self._offered_bytes - self._taken_bytes

    @property
    def kept(self) -> int:
        """Takes that are finished and were not discarded."""
        return len(self._kept)

    def has_room(self) -> bool:
        """The disk is not too full to begin a take."""
        return self.free_bytes() >= self._min_free

    def free_bytes(self) -> int:
        """Room on the disk; 0 where it cannot be told."""
        try:
            return shutil.disk_usage(self._folder.directory).free
        except OSError:
            return 0

    def offer(self, heard: Heard) -> bool:
        """A message of the running take; False if it had to be dropped. Never waits."""
        self.offered[heard.topic] += 1
        if self.waiting_bytes + len(heard.data) > self._queue_bytes:
            self.dropped[QUEUE_FULL] += 1
            self.dropped_of[heard.topic] += 1
            return False
        self._offered_bytes += len(heard.data)
        self._queue.put(heard)
        return True

    def open(self, custom: Mapping[str, str], *first: Heard) -> None:
        """Begin a take with these messages."""
        self._put(Open(custom, first), *first)

    def end(self, ending: str, *last: Heard) -> None:
        """Finish the running take after these messages."""
        self._put(End(ending, last), *last)

    def discard(self) -> None:
        """Delete the running take, or else the last one kept."""
        self._put(End("discarded", discard=True))

    def close(self, timeout_s: float) -> bool:
        """Write what waits, finish the running take, end; False where the disk took longer."""
        self._put(End("timeout"))
        self._queue.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _put(self, command: Open | End, *messages: Heard) -> None:
        for heard in messages:
            self.offered[heard.topic] += 1
        self._queue.put(command)

    def _run(self) -> None:
        while True:
            try:
                item = self._queue.get(timeout=_WAIT_S)
            except queue.Empty:
                self._tidy()
                continue
            if item is None:
                return
            if isinstance(item, Open):
                self._begin(item)
            elif isinstance(item, End):
                self._finish(item)
            else:
                self._write(item)
                self._taken_bytes += len(item.data)
                self._tidy()

    def _begin(self, item: Open) -> None:
        self._messages = self._frames = 0
        try:
            self._check_room()
            self._take = self._folder.new(item.custom)
            self.current, self.problem = self._take.folder.name, ""
        except OSError as error:
            self._fail(error)
        for heard in item.first:
            self._write(heard)

    def _write(self, heard: Heard) -> None:
        take = self._take
        if take is None:
            self._lose(heard, DISK)
            return
        try:
            data = heard.data if heard.change is None else heard.change(heard.data)
        except FrameError:
            self._lose(heard, UNREADABLE)
            return
        before = take.size_bytes
        try:
            take.write(heard.topic, heard.kind, heard.log_ns, heard.publish_ns, data)
        except (OSError, RecordingError) as error:
            self._lose(heard, DISK)
            self._fail(error)
            return
        self.bytes += take.size_bytes - before
        self._messages += 1
        self._frames += heard.frame
        self.written[heard.topic] += 1

    def _lose(self, heard: Heard, cause: str) -> None:
        self.dropped[cause] += 1
        self.dropped_of[heard.topic] += 1

    def _finish(self, item: End) -> None:
        for heard in item.last if self._take is not None else ():
            self._write(heard)
        take, self._take, self.current = self._take, None, ""
        try:
            if take is not None:
                self._end(take, item)
            elif item.discard and self._kept:
                last = self._kept.pop()
                remove(last)
                self.discarded += 1
                self.finished.put(Finished(last.name, "discarded", 0, 0, 0))
        except OSError as error:
            self._fail(error)

    def _end(self, take: Take, item: End) -> None:
        size, name = take.size_bytes, take.folder.name
        if item.discard or not self._frames:
            take.discard()
            ending = "discarded" if item.discard else "empty"
            self.discarded += item.discard
        else:
            self._kept.append(take.folder)
            self._folder.keep(take.folder)
            ending = item.ending
            take.finish()
        self.finished.put(Finished(name, ending, self._messages, self._frames, size))

    def _tidy(self) -> None:
        """Now and then: to the disk, and is there room?"""
        take, now_s = self._take, time.monotonic()
        if take is None:
            return
        try:
            if now_s - self._synced_s >= _SYNC_S:
                take.sync()
                self._synced_s = time.monotonic()
            if now_s - self._looked_s >= _FREE_S:
                self._looked_s = now_s
                self._check_room()
        except OSError as error:
            self._fail(error)

    def _check_room(self) -> None:
        if not self.has_room():
            raise OSError(0, f"less than {self._min_free / 1e9:g} GB are free")

    def _fail(self, error: OSError | RecordingError) -> None:
        """Nothing more of this take; what is written stays."""
        why = error.strerror if isinstance(error, OSError) else str(error)
        self.problem = (
            f"recording to {self._folder.directory} has stopped ({why}): free space and start again"
        )
        self.failures += 1
        take, self._take, self.current = self._take, None, ""
        if take is None:
            return
        self._kept.append(take.folder)
        self._folder.keep(take.folder)
        name, size = take.folder.name, take.size_bytes
        try:
            take.finish()
        except OSError:
            self.problem += f"; {name} gets its index at the next start of the recorder"
        self.finished.put(Finished(name, "disk", self._messages, self._frames, size))
