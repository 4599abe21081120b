"""What can be said of a camera from when its frames come: rate, age, gaps, losses, drops by reason."""

from __future__ import annotations

from collections import Counter, deque

_WINDOW_S = 3.0
_PAUSE_S = 1.0
"""A gap of this length is a pause of the source, not a loss on the way."""
_LEAST = 10
"""Frames from which on losses are estimated."""
_LONGEST = 240
_NS = 1e-9


class Arrivals:
    """Fed with every frame; all questions take `now_s` on the steady clock, seconds."""

    def __init__(self, now_s: float) -> None:
        """`now_s`: when waiting began."""
        self._since_s = now_s
        self._last_s: float | None = None
        self._last_stamp_ns: int | None = None
        self._times_s: deque[float] = deque(maxlen=_LONGEST)
        self._stamps_ns: deque[int] = deque(maxlen=_LONGEST)
        self.age_s = 0.0
        """Time between the stamp of the newest frame and its arrival, seconds."""
        self.dropped: Counter[str] = Counter()
        """Frames that were not used, by reason."""
        self.clock_jumps = 0
        """Times a stamp went back."""

    def frame(self, stamp_ns: int, clock_ns: int, now_s: float) -> bool:
        """Note a frame; `clock_ns`: the ROS clock now. False, and a drop, if its stamp is the last one's."""
        if stamp_ns == self._last_stamp_ns:
            self.dropped["repeated_stamp"] += 1
            return False
        if self._last_stamp_ns is not None and stamp_ns < self._last_stamp_ns:
            self.clock_jumps += 1
            self._stamps_ns.clear()
        if self.silent_s(now_s) > _PAUSE_S:
            self._stamps_ns.clear()
        self._last_stamp_ns, self._last_s = stamp_ns, now_s
        self._times_s.append(now_s)
        self._stamps_ns.append(stamp_ns)
        self.age_s = (clock_ns - stamp_ns) * _NS
        return True

    def silent_s(self, now_s: float) -> float:
        """Seconds since the last frame, or since waiting began."""
        return now_s - (self._since_s if self._last_s is None else self._last_s)

    @property
    def heard(self) -> bool:
        """A frame has come."""
        return self._last_s is not None

    def rate_hz(self, now_s: float) -> float:
        """Frames per second of the last seconds."""
        recent = [at for at in self._times_s if now_s - at <= _WINDOW_S]
        span = min(_WINDOW_S, max(now_s - self._since_s, 1e-3))
        return len(recent) / span

    def lost_share(self) -> float:
        """Share of frames that were taken but never came: stamps of a camera are evenly spaced."""
        stamps = list(self._stamps_ns)
        gaps = sorted(b - a for a, b in zip(stamps, stamps[1:], strict=False))
        if len(gaps) < _LEAST:
            return 0.0
        period = gaps[len(gaps) // 10]
        taken = (stamps[-1] - stamps[0]) / period
        return max(0.0, 1.0 - len(gaps) / taken)
