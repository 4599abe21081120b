"""What an alignment is asked for and gives: episodes as indices into tracks, the fate of every message."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.data.tracks import Stamps

NS = 1_000_000_000


@dataclass(frozen=True)
class Settings:
    """How to align."""

    period_ns: int
    """Control period."""
    max_gap_ns: int
    """Frames further apart belong to different episodes."""
    command_timeout_ns: int
    """A command is in force for this long unless the next one ends it, as on a base with a time-out."""
    min_steps: int = 1
    """Episodes with fewer are dropped."""
    delay_steps: int = 0
    """The action of a step is the command of this many steps before: actions then act at once."""


@dataclass(frozen=True)
class Aligned:
    """One episode: T steps and the T + 1 frames around them, as indices into the tracks."""

    edges_ns: Stamps
    """(T + 1,) strictly increasing: step k lasts from edge k to edge k + 1."""
    frames: dict[str, NDArray[np.int64]]
    """Camera (or "clock" where there is none) -> (T + 1,) index of the frame, not decreasing."""
    command: NDArray[np.int64]
    """(T,) index of the command."""
    ending: str
    """One of ENDINGS, or "gap" where the recording just stops."""
    until_ns: int = 0
    """What comes after the last edge and before this is of the last step: the time of the mark that ended the
    episode, such as a goal that was reached between two frames. 0: nothing does."""

    @property
    def outcome_edges_ns(self) -> Stamps:
        """(T + 1,) the edges between which rewards and costs count."""
        edges = self.edges_ns.copy()
        edges[-1] = max(int(edges[-1]), self.until_ns)
        return edges

    def __len__(self) -> int:
        """Number of steps, T."""
        return len(self.command)


@dataclass
class Alignment:
    """Episodes of a recording and what became of every message that could be read."""

    episodes: list[Aligned]
    fates: dict[int, Counter[str]]
    """id of a track -> reason -> messages in no step."""
    used: dict[int, int]
    """id of a track -> messages in a step; used + fates = the track's length."""
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """(stamp, length) of the gaps of the clock, nanoseconds."""
    repeated: int = 0
    """Steps that begin with the frame of the step before."""

    @property
    def pairs(self) -> int:
        """Steps of all episodes: a frame, the command in force, the next frame."""
        return sum(len(episode) for episode in self.episodes)


@dataclass
class Stretch:
    """The grid over one stretch without a gap."""

    edges_ns: Stamps
    frames: dict[str, NDArray[np.int64]]
    command: NDArray[np.int64]
    why: NDArray[np.object_]
    """(T,) why a step cannot be used; "" where it can."""
    ticks_ns: Stamps
