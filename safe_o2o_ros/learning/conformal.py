"""A threshold with a promise, from episodes (conformal risk control, Angelopoulos et al., ICLR 2024).

Periods of one episode are not exchangeable, episodes are: the loss is one number an episode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Judged:
    """The commands of one episode."""

    risk: NDArray[np.float64]
    """(T,) of the command that was executed."""
    event: NDArray[np.bool_]
    """(T,) what must not follow a command that is called safe did follow it."""

    def loss(self, threshold: float) -> float:
        """Share of all commands that are called safe at `threshold`, wrongly. Never falls as it grows."""
        return float((self.event & (self.risk <= threshold)).mean())


def conformal_threshold(episodes: Sequence[Judged], alpha: float, most: float) -> float:
    """Largest threshold up to `most` whose expected loss on another such episode is at most `alpha`.

    That is (sum of losses + 1) / (n + 1) <= alpha for n episodes. 0 where there is none: certify nothing.
    Needs n >= 1 / alpha - 1 episodes for anything.
    """
    allowed = alpha * (len(episodes) + 1) - 1.0
    if allowed < 0.0:
        return 0.0
    risk = np.concatenate([e.risk[e.event] for e in episodes])
    weight = np.concatenate([np.full(int(e.event.sum()), 1.0 / len(e.event)) for e in episodes])
    order = np.argsort(risk, kind="stable")
    total = np.cumsum(weight[order])
    over = np.flatnonzero(total > allowed + 1e-12)
    if not len(over):
        return most
    # Strictly below the first command that is one too many.
    return float(min(most, np.nextafter(risk[order][over[0]], -1.0)))


def events(cost: NDArray[np.floating], horizon: int) -> NDArray[np.bool_]:
    """(T,) whether a cost falls within `horizon` periods, the present one included, of each command.

    Not where the robot is inside a violation already: nothing that is commanded there can be safe.
    """
    hit = np.asarray(cost) > 0.0
    ahead = np.zeros(len(hit), bool)
    for k in range(min(horizon, len(hit))):
        ahead[: len(hit) - k] |= hit[k:]
    inside = np.concatenate([[False], hit[:-1]])
    return np.asarray(ahead & ~inside)
