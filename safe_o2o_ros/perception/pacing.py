"""Frames of a camera that is faster than the control rate: one per control period, the nearest to it."""

from __future__ import annotations


class PeriodGrid:
    """Chooses by stamps, so that on average one frame is taken per period whatever the camera's rate."""

    def __init__(self, period_s: float) -> None:
        """`period_s`: the control period the networks were trained with, seconds."""
        self._period_ns = round(period_s * 1e9)
        self._due_ns: int | None = None
        self._last_ns: int | None = None
        self.skipped = 0
        """Frames between two periods."""

    def restart(self) -> None:
        """The next frame is taken."""
        self._due_ns = self._last_ns = None

    def take(self, stamp_ns: int) -> bool:
        """Whether the frame of this stamp is the one of its period. Call it for every frame."""
        gap_ns = None if self._last_ns is None else stamp_ns - self._last_ns
        self._last_ns = stamp_ns
        if self._due_ns is None or gap_ns is None or gap_ns < 0:
            self._due_ns = stamp_ns + self._period_ns
            return True
        # The next frame would come a gap later: this one is nearer to the due time if less than half is left.
        if 2 * (self._due_ns - stamp_ns) > gap_ns:
            self.skipped += 1
            return False
        # A camera that is slower, or was silent, has no time to make up for.
        late = stamp_ns - self._due_ns >= self._period_ns
        self._due_ns = (stamp_ns if late else self._due_ns) + self._period_ns
        return True
