"""What a recorder says of itself: numbers, and a sentence with its level."""

from __future__ import annotations

from typing import Any

from safe_o2o_ros.data.take_thread import TakeThread
from safe_o2o_ros.types import Level


class RecordReport:
    """Reads the thread's counters, and counts the recorded time."""

    def __init__(self, thread: TakeThread, camera_topics: tuple[str, ...]) -> None:
        """`camera_topics`: names that pictures may have in a bag."""
        self._thread, self._cameras = thread, camera_topics
        self._since_s: float | None = None
        self._recorded_s = 0.0

    def opened(self, now_s: float) -> None:
        """A take begins."""
        self._since_s = now_s

    def ended(self, now_s: float) -> None:
        """It is over."""
        if self._since_s is not None:
            self._recorded_s += now_s - self._since_s
        self._since_s = None

    def values(self, now_s: float) -> dict[str, Any]:
        """The numbers at a steady time. Of messages: offered = written + waiting + dropped."""
        t = self._thread
        running = 0.0 if self._since_s is None else now_s - self._since_s
        seconds = self._recorded_s + running
        written, dropped = sum(t.written.values()), sum(t.dropped.values())
        offered = sum(t.offered.values())
        return {
            "take": t.current,
            "takes": t.kept,
            "discarded": t.discarded,
            "seconds": round(seconds, 1),
            "offered": offered,
            "written": written,
            "waiting": max(0, offered - written - dropped),
            "frames": sum(t.written[c] for c in self._cameras),
            "frames_dropped": sum(t.dropped_of[c] for c in self._cameras),
            **{f"dropped_{cause}": count for cause, count in t.dropped.items()},
            "megabytes": round(t.bytes / 1e6, 2),
            "gigabytes_per_hour": round(t.bytes / 1e9 / seconds * 3600.0, 3) if seconds > 0.0 else 0.0,
            "free_gigabytes": round(t.free_bytes() / 1e9, 2),
        }

    def state(self, problem: str) -> tuple[Level, str]:
        """Level and sentence. `problem`: why cameras cannot be heard, or ""."""
        t = self._thread
        if not t.alive:
            return Level.ERROR, "recording has stopped: read the node's log, and start the node again"
        if t.problem:
            return Level.ERROR, t.problem
        if problem:
            return Level.WARN, problem
        return Level.OK, f"records {t.current}" if t.current else "waits for start"
