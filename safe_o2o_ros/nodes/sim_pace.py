"""Whether a simulator keeps up with the wall clock. Pure: times are given."""

from __future__ import annotations

from collections import deque

SLOW = 0.95
"""Real-time factor below which the run is not what a robot would see."""
_LATE_SHARE = 0.2
"""Share of a period by which a tick may be late before it counts."""
_WINDOW_S = 5.0


class Pace:
    """Counts ticks against start + n * period; times in nanoseconds of one steady clock.

    A tick that comes after its successor was due replaces it: after a stall there is no burst.
    """

    def __init__(self, period_ns: int, start_ns: int) -> None:
        self._period_ns, self._start_ns = period_ns, start_ns
        self._recent: deque[int] = deque([start_ns], maxlen=max(2, round(_WINDOW_S * 1e9 / period_ns)))
        self._slot = 0
        self.late = 0
        """Ticks that came more than a fifth of a period late."""
        self.skipped = 0
        """Periods that were left out since the tick before took too long."""
        self.worst_ns = 0
        """Greatest lateness of a tick."""

    def tick(self, now_ns: int) -> None:
        """A period is about to be driven."""
        slot = max((now_ns - self._start_ns) // self._period_ns, self._slot + 1)
        lateness = max(now_ns - self._start_ns - (self._slot + 1) * self._period_ns, 0)
        self.skipped += slot - self._slot - 1
        self.late += lateness > _LATE_SHARE * self._period_ns
        self.worst_ns = max(self.worst_ns, lateness)
        self._slot = slot
        self._recent.append(now_ns)

    @property
    def rtf(self) -> float:
        """Simulated time over wall time in the last seconds; 1.0 before the second tick."""
        wall_ns = self._recent[-1] - self._recent[0]
        if len(self._recent) < 2 or wall_ns <= 0:
            return 1.0
        return (len(self._recent) - 1) * self._period_ns / wall_ns

    @property
    def slow(self) -> bool:
        """The simulator does not keep up."""
        return self.rtf < SLOW
