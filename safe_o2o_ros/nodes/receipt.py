"""When a message was received or sent, on the steady clock: what carries no stamp is joined by this."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

_JUMP_NS = 100_000_000


class ReceiptClock:
    """Turns the middleware's time of a message (system clock) into a steady time, and keeps the order.

    The time at which a callback runs would not do: an executor that fell behind takes one message of each
    topic in turn, so that a later one of one topic overtakes an earlier one of another.
    """

    def __init__(self, sent: bool = False) -> None:
        """`sent`: the time of sending, which compares messages of one sender; else the time of receipt."""
        self._key = "source_timestamp" if sent else "received_timestamp"
        self._offset_ns: int | None = None

    def at_ns(self, info: Mapping[str, Any]) -> int:
        """`info`: what rclpy gives a callback beside its message."""
        steady_ns, received_ns = time.monotonic_ns(), int(info.get(self._key) or 0)
        if received_ns <= 0:  # a middleware that does not tell
            return steady_ns
        offset_ns = steady_ns - time.time_ns()
        # One offset until the system clock is set: two readings of two clocks are never quite together.
        if self._offset_ns is None or abs(offset_ns - self._offset_ns) > _JUMP_NS:
            self._offset_ns = offset_ns
        return received_ns + self._offset_ns
