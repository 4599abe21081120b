"""Stamped messages of one topic, and which of them belongs to a control period."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

_T = TypeVar("_T")
_MOST = 512


@dataclass(frozen=True)
class Entry(Generic[_T]):
    """One message."""

    stamp_ns: int
    """Of the image it answers, on the sender's clock."""
    at_ns: int
    """Of its receipt, on a steady clock of the receiver."""
    value: _T


class Heard(Generic[_T]):
    """The newest messages of a topic, in the order of their receipt."""

    def __init__(self) -> None:
        self._entries: deque[Entry[_T]] = deque(maxlen=_MOST)

    def note(self, stamp_ns: int, at_ns: int, value: _T) -> None:
        """A message came."""
        self._entries.append(Entry(stamp_ns, at_ns, value))

    def first_of(self, stamp_ns: int) -> Entry[_T] | None:
        """The first that carries this stamp."""
        return next((e for e in self._entries if e.stamp_ns == stamp_ns), None)

    def last_of(self, since_ns: int, before_ns: int) -> Entry[_T] | None:
        """The last received with a stamp from `since_ns` on and before `before_ns`."""
        return self._last(e for e in self._entries if since_ns <= e.stamp_ns < before_ns)

    def in_force(self, before_ns: int, at_ns: int) -> Entry[_T] | None:
        """The last received before `at_ns` whose stamp is before `before_ns`."""
        return self._last(e for e in self._entries if e.stamp_ns < before_ns and e.at_ns < at_ns)

    @staticmethod
    def _last(entries: Iterable[Entry[_T]]) -> Entry[_T] | None:
        # Of equal times the one that was noted later: `max` alone keeps the first.
        return max(reversed(list(entries)), key=lambda e: e.at_ns, default=None)
