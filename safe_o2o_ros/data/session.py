"""When takes begin and end: from what the operator asks for and what the graph says of episodes."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from safe_o2o_ros.data.tracks import ENDINGS, MARKS

START = MARKS[0]
STOPPED, SUCCESS = "timeout", "success"
"""Ending of a take that the operator stopped, and of one whose goal was reached."""


_FAR_NS = 5_000_000_000
"""A camera whose clock differs more from ours is on another one."""


class LastFrames:
    """After the end of an episode the frame is wanted that its last action led to, of every camera."""

    def __init__(self, word: str, topics: set[str], since_ns: int) -> None:
        """`word`: how the episode ended, at `since_ns`; `topics`: of the cameras."""
        self.word = word
        self._waiting = set(topics)
        self.mark_ns = since_ns
        """When the take ends: not before its last frame, whichever of its times is believed."""

    @property
    def complete(self) -> bool:
        """All are there."""
        return not self._waiting

    def wants(self, topic: str, log_ns: int, data: bytes) -> bool:
        """Whether this message, CDR with a header in front, is one of them."""
        if topic not in self._waiting:
            return False
        self._waiting.remove(topic)
        sec, nanosec = struct.unpack_from("<iI" if data[1] else ">iI", data, 4)
        stamp_ns = sec * 1_000_000_000 + nanosec
        near = abs(stamp_ns - log_ns) < _FAR_NS
        self.mark_ns = max(self.mark_ns, log_ns, stamp_ns if near else 0)
        return True


@dataclass(frozen=True)
class Step:
    """What is to be done with takes, in this order."""

    finish: str = ""
    """How the running take ended; "" = it goes on."""
    discard: bool = False
    """Delete the running take, or else the last one."""
    open: bool = False
    """A new take begins."""


class Session:
    """Holds whether a take runs. Without `episode` events a take lasts from start to stop.

    With them (a simulator, a task node) every episode is a take: one that begins while recording is on.
    """

    def __init__(self, follow: bool) -> None:
        """`follow`: listen to episode events."""
        self._follow = follow
        self.armed = False
        """Recording is on."""
        self.running = False
        """A take is open."""
        self._between = False
        """An episode has ended and no other has begun."""
        self._followed = False

    def start(self) -> Step:
        """The operator: record."""
        self.armed = True
        if self.running or self._between:
            return Step()
        self.running = True
        return Step(open=True)

    def stop(self) -> Step:
        """The operator: no more."""
        self.armed = False
        return self._end(STOPPED)

    def goal(self) -> Step:
        """The operator: the goal is reached."""
        step = self._end(SUCCESS)
        if step.finish:
            # With episodes of the graph the rest of this one is not recorded; the next one is.
            self.armed = self._between = self._followed
        return step

    def discard(self) -> Step:
        """The operator: forget the running take, else the last one; recording is off then."""
        self.armed = self.running = False
        return Step(discard=True)

    def failed(self) -> None:
        """Nothing can be written: recording is off."""
        self.armed = self.running = False

    def event(self, word: str, old: bool = False) -> Step:
        """The graph says of an episode. `old`: it did so before the running take was opened."""
        if not self._follow or word not in MARKS:
            return Step()
        self._followed = True
        if old and self.running and word == START:
            return Step()  # of the episode that is being recorded
        if word in ENDINGS:
            self._between = True
            return self._end(word)
        self._between = False
        step = self._end("abort")
        self.running = self.armed
        return Step(finish=step.finish, open=self.armed)

    def _end(self, word: str) -> Step:
        was, self.running = self.running, False
        return Step(finish=word if was else "")
