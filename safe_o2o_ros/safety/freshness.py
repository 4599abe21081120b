"""Which input is late: receipt age on a steady clock and progress of stamps, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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

    def set_timeouts(self, timeouts_s: Mapping[str, float]) -> None:
        """Change the largest ages, seconds, of known inputs."""
        for name, timeout_s in timeouts_s.items():
            self._inputs[name].timeout_s = timeout_s

    def note(self, name: str, stamp_ns: int | None, now_s: float) -> bool:
        """Record a message. Returns False, and leaves the age alone, if its stamp did not move.

        A stamp that jumps back has moved: clocks are set, and nodes restart. None: it carries no stamp.
        """
        entry = self._inputs[name]
        if stamp_ns is not None and entry.stamp_ns == stamp_ns:
            return False
        entry.stamp_ns = stamp_ns
        entry.received_s = now_s
        return True

    def forget(self, names: Iterable[str]) -> None:
        """These were never received."""
        for name in names:
            self._inputs[name] = _Input(self._inputs[name].timeout_s)

    def received(self, name: str) -> bool:
        """The input came at least once."""
        return self._inputs[name].received_s is not None

    def stamp_ns(self, name: str) -> int | None:
        """Stamp of the newest message; None where it carries none, or none came."""
        return self._inputs[name].stamp_ns

    def is_late(self, name: str, now_s: float) -> bool:
        """The input is missing or older than its timeout."""
        entry = self._inputs[name]
        return entry.received_s is None or now_s - entry.received_s > entry.timeout_s

    def late(self, now_s: float, names: Iterable[str] | None = None) -> str:
        """The first input, of `names` or of all, that is missing or older than its timeout, or ""."""
        return next((n for n in names or self._inputs if self.is_late(n, now_s)), "")

    def ages_s(self, now_s: float) -> dict[str, float]:
        """Age of every input in seconds, infinity when never received."""
        return {
            n: float("inf") if e.received_s is None else now_s - e.received_s for n, e in self._inputs.items()
        }
