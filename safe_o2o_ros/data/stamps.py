"""Which of a message's times to believe: the sender's stamp or the recorder's receipt."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.data.tracks import Stamps

LATEST_NS = 4_000_000_000_000_000_000
"""The year 2096. Later stamps, and negative ones, are garbage."""
FAR_NS = 5_000_000_000
"""A sender's clock that differs more from the recorder's is another clock."""
ODD_NS = 2_000_000_000
"""A stamp whose delay differs more from the topic's usual delay is wrong."""
ABSURD = "absurd stamp"
REPEATED = "repeated stamp"


@dataclass(frozen=True)
class Judged:
    """What to do with the messages of a topic."""

    order: NDArray[np.int64]
    """(n,) indices of the messages to keep, in the order of their stamps."""
    stamps_ns: Stamps
    """(n,) their stamps, not decreasing."""
    delay_ns: Stamps | None
    """(n,) receipt minus header stamp; None where the headers are not believed or there are none."""
    clock: str
    """"header" or "receipt"."""
    drops: Counter[str]
    notes: list[str]


def judge(receipt_ns: Stamps, header_ns: Stamps | None, unique: bool) -> Judged:
    """Receipt times (n,) and header stamps (n,), if the type has them, to an order.

    `unique`: of messages with one stamp only the first is kept (frames); else all are.
    """
    drops: Counter[str] = Counter()
    notes: list[str] = []
    possible = (receipt_ns >= 0) & (receipt_ns <= LATEST_NS)
    stamps, delay, clock = receipt_ns, None, "receipt"
    if header_ns is not None and possible.any():
        # Garbage could overflow a difference; a stamp of 0 is one that nobody set.
        set_ = (header_ns > 0) & (header_ns <= LATEST_NS)
        apart = np.where(possible & set_, receipt_ns - np.where(set_, header_ns, 0), np.iinfo(np.int64).max)
        near = np.abs(apart) <= FAR_NS
        if 2 * int((near & possible).sum()) > int(possible.sum()):
            usual = int(np.median(apart[near & possible]))
            possible &= near & (np.abs(np.where(near, apart, 0) - usual) <= ODD_NS)
            stamps, delay, clock = header_ns, apart, "header"
        elif set_.any():
            notes.append(
                "its header stamps are of another clock than the recorder's: times of receipt are used"
            )
        else:
            notes.append("its header stamps are not set: times of receipt are used")
    drops[ABSURD] = int((~possible).sum())
    kept = np.flatnonzero(possible)
    order = kept[np.argsort(stamps[kept], kind="stable")]
    if unique and len(order):
        first = np.r_[True, np.diff(stamps[order]) > 0]
        drops[REPEATED] = int((~first).sum())
        order = order[first]
    return Judged(order, stamps[order], None if delay is None else delay[order], clock, +drops, notes)
