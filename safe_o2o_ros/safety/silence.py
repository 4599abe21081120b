"""When a braking filter may fall silent: a stopped robot needs no commands, and others may send theirs."""

from __future__ import annotations


class Silence:
    """Zeros are held for a while after the robot stands, then nothing is sent until inputs are valid."""

    def __init__(self, hold_s: float) -> None:
        """`hold_s`: seconds to go on sending zeros."""
        self._hold_s = hold_s
        self._standing_since_s: float | None = None

    def moved(self) -> None:
        """A command other than a brake was sent."""
        self._standing_since_s = None

    def speaks(self, standing: bool, now_s: float) -> bool:
        """Whether a brake at steady-clock time `now_s` is to be sent."""
        if not standing:
            self._standing_since_s = None
            return True
        if self._standing_since_s is None:
            self._standing_since_s = now_s
        return now_s - self._standing_since_s <= self._hold_s
