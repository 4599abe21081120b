"""Pieces of episodes to whole episodes again, as they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.data.episode import Episode
from safe_o2o_ros.errors import StoreError

LONGEST = 4096
"""Steps after which an episode that does not end is handed out in parts."""


class Assembler:
    """`add` pieces in the order of their ids; it gives back the episodes that are complete.

    What is missing (evicted, damaged, never written) splits an episode: the part before it ends as
    truncated. `rest` gives what has no end yet.
    """

    def __init__(self, longest: int = LONGEST) -> None:
        """`longest`: an episode is handed out in parts of so many steps at most, and a piece more."""
        self._longest = longest
        self._pieces: list[Episode] = []
        self._next = ("", 0)
        """Episode and first period of the piece that would continue the last one."""
        self.holes = 0
        """Times the beginning or the middle of an episode was missing."""
        self.repeated = 0
        """Pieces that had been there already."""

    @property
    def steps(self) -> int:
        """Steps of the episode that has no end yet."""
        return sum(map(len, self._pieces))

    def add(self, piece: Episode) -> list[Episode]:
        """The next piece; returns episodes that are complete now."""
        uid, first = piece.metadata["episode"], piece.metadata["first"]
        if uid == self._next[0] and first < self._next[1]:
            self.repeated += 1
            return []
        complete = []
        if (uid, first) != self._next:
            if self._pieces:
                complete += self._close(hole=True)
            self.holes += first > 0
        self._pieces.append(piece)
        self._next = (uid, first + len(piece))
        if piece.terminated or piece.truncated or self.steps >= self._longest:
            complete += self._close(hole=False)
        return complete

    def rest(self) -> Episode | None:
        """What there is of the episode that has no end yet, joined; it stays here and may grow."""
        return join(self._pieces) if self._pieces else None

    def _close(self, hole: bool) -> list[Episode]:
        pieces, self._pieces = self._pieces, []
        return [join(pieces, truncated=hole)]


def join(pieces: Sequence[Episode], truncated: bool = False) -> Episode:
    """Consecutive pieces of one episode as one; `truncated`: it ends here, whatever the last piece says.

    Raises StoreError where two neighbours do not share their frame.
    """
    first, last = pieces[0], pieces[-1]
    for a, b in zip(pieces, pieces[1:], strict=False):
        if any(not np.array_equal(a.images[name][-1], b.images[name][0]) for name in a.images):
            raise StoreError(
                f"pieces {a.metadata['piece']} and {b.metadata['piece']} of episode {a.metadata['episode']} "
                "do not share a frame: they were not written one after the other"
            )
    gaps, offset = [], 0
    for piece in pieces:
        gaps += [[t + offset, periods] for t, periods in piece.metadata.get("gaps", [])]
        offset += len(piece)
    versions = [[p.metadata["first"] - first.metadata["first"], p.metadata.get("bundle", "")] for p in pieces]
    changes = [v for i, v in enumerate(versions) if i == 0 or v[1] != versions[i - 1][1]]
    ends = last.terminated or last.truncated
    return Episode(
        images={name: _frames([p.images[name] for p in pieces]) for name in first.images},
        actions=np.concatenate([p.actions for p in pieces]),
        rewards=np.concatenate([p.rewards for p in pieces]),
        costs=np.concatenate([p.costs for p in pieces]),
        terminated=last.terminated,
        truncated=last.truncated or (truncated and not ends),
        metadata={
            **first.metadata,
            "end": last.metadata.get("end", "") or ("hole" if truncated and not ends else ""),
            "gaps": gaps,
            "bundles": changes,
            "pieces": len(pieces),
        },
        extras={name: _column(name, pieces) for name in first.extras},
    )


def _frames(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """(T + 1, ...) rows each, of which neighbours share one."""
    return np.concatenate([part if i == 0 else part[1:] for i, part in enumerate(parts)])


def _column(name: str, pieces: Sequence[Episode]) -> NDArray[Any]:
    parts = [piece.extras[name] for piece in pieces]
    per_frame = len(parts[0]) == len(pieces[0]) + 1
    return _frames(parts) if per_frame else np.concatenate(parts)
