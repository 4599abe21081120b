"""A recording as imported: one track for each topic or column, with an account of every message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Stamps = NDArray[np.int64]

ENDINGS = ("success", "failure", "timeout", "abort")
"""Words that end an episode; "start" begins one."""
MARKS = ("start", *ENDINGS)


@dataclass
class Track:
    """Messages of one topic (or rows of one column) that could be read, in the order of their stamps."""

    name: str
    """Topic or column."""
    kind: str
    """Message type, or how it was stored."""
    role: str
    """"camera front", "command", "reward", "cost", "odometry", "episode" or "not mapped"."""
    stamps_ns: Stamps
    """(n,) not decreasing; strictly increasing for cameras. Nanoseconds."""
    values: NDArray[Any]
    """(n, ...): frames, raw actions, numbers; which, says the place in `Recording`."""
    received: int
    """Messages there were, those that could not be used included."""
    drops: Counter[str] = field(default_factory=Counter)
    """Reason -> messages that did not get as far as `values`; received = n + sum of these."""
    delay_ns: Stamps | None = None
    """(n,) receipt minus stamp; None where a message has one time only."""
    clock: str = "receipt"
    """"header" where the stamps are those of the senders, "receipt" where the recorder's."""
    columns: tuple[str, ...] = ()
    """Names of the columns of `values`."""
    notes: list[str] = field(default_factory=list)
    """Sentences on what was found in it."""

    def __len__(self) -> int:
        """Messages that could be read, n."""
        return len(self.stamps_ns)


@dataclass
class CostTrack(Track):
    """`values` is (n, columns) float64."""

    level: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    """(columns,) True: a state (a bumper is pressed), that costs 1 in every period in which it is on.
    False: an amount, summed."""

    def on(self) -> NDArray[np.bool_]:
        """(n,) whether any of the states is on."""
        return np.asarray((self.values[:, self.level] > 0.0).any(axis=1))


@dataclass
class Recording:
    """What a bag, tub or folder holds, as far as it is mapped."""

    source: str
    """Where it came from, for messages and metadata."""
    cameras: dict[str, Track]
    """Camera -> frames (n, height, width, 3) uint8 RGB. The first camera is the clock of the alignment."""
    command: Track | None = None
    """(n, A) float32 raw actions."""
    rewards: list[CostTrack] = field(default_factory=list)
    costs: list[CostTrack] = field(default_factory=list)
    odometry: Track | None = None
    """(n, A) float64 speed of each action channel, m/s and rad/s."""
    marks: Track | None = None
    """(n,) indices into MARKS."""
    unmapped: list[Track] = field(default_factory=list)
    """Counted only."""
    breaks_ns: Stamps = field(default_factory=lambda: np.zeros(0, np.int64))
    """Times across which nothing belongs together, e.g. the first frame of another session."""
    runs: Sequence[tuple[int, str]] = ()
    """(first stamp, name) of each session, in order; () where sessions have no names."""
    clipped: int = 0
    """Commands beyond what the adapter says the robot does: they were clipped."""
    notes: list[str] = field(default_factory=list)
    """Sentences on the file as a whole, such as what was lost of a truncated one."""

    def tracks(self) -> Iterator[Track]:
        """All of them, mapped ones first."""
        yield from self.cameras.values()
        yield from (t for t in (self.command, *self.rewards, *self.costs) if t is not None)
        yield from (t for t in (self.odometry, self.marks) if t is not None)
        yield from self.unmapped

    @property
    def clock(self) -> Track | None:
        """The track whose messages begin periods: the first camera, without one odometry or the commands."""
        return next(iter(self.cameras.values()), None) or self.odometry or self.command

    def run_at(self, stamp_ns: int) -> str | None:
        """The name of the session at a time; None where sessions have no names."""
        return next((name for first, name in reversed(self.runs) if first <= stamp_ns), None)


def received_only(name: str, kind: str, count: int) -> Track:
    """The track of a topic that is not mapped."""
    empty = np.zeros(0, np.int64)
    return Track(
        name, kind, "not mapped", empty, empty, count, Counter({"not mapped": count} if count else {})
    )
