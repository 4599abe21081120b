"""Which input is late: receipt age on a steady clock and progress of stamps, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass
class _Input:
    timeout_s: float
    received_s: float | None = None
    stamp_ns: int | None = None


class Freshness:
    """Ages of named inputs. The caller gives the steady-clock time, so that tests inject it.

    An input is fresh when it was received within its timeout *with a stamp that had moved*: a
    source that repeats one frame for ever is as dead as a silent one.
    """

    def __init__(self, timeouts_s: Mapping[str, float]) -> None:
        """`timeouts_s`: input name -> largest age in seconds. The order is the order of blame."""
        self._inputs = {name: _Input(timeout) for name, timeout in timeouts_s.items()}

    def note(self, name: str, stamp_ns: int, now_s: float) -> bool:
        """Record a message. Returns False, and leaves the age alone, if its stamp did not move."""
        entry = self._inputs[name]
        if entry.stamp_ns == stamp_ns:
            return False
        entry.stamp_ns = stamp_ns
        entry.received_s = now_s
        return True

    def missing(self) -> str:
        """The first input never received, or ""."""
        return next((n for n, e in self._inputs.items() if e.received_s is None), "")

    def late(self, now_s: float) -> str:
        """The first input that is missing or older than its timeout, or ""."""
        for name, entry in self._inputs.items():
            if entry.received_s is None or now_s - entry.received_s > entry.timeout_s:
                return name
        return ""

    def ages_s(self, now_s: float) -> dict[str, float]:
        """Age of every input in seconds, infinity when never received."""
        return {
            n: float("inf") if e.received_s is None else now_s - e.received_s for n, e in self._inputs.items()
        }
