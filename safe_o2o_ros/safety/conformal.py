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
    allowed: float = 1.0
    """Threshold of the filter that drove."""

    def loss(self, threshold: float) -> float:
        """Share of all commands that are called safe at `threshold`, wrongly. Never falls as it grows."""
        return float((self.event & (self.risk <= threshold)).mean())


def conformal_threshold(episodes: Sequence[Judged], alpha: float, most: float) -> float:
    """Largest threshold up to `most` whose expected loss on another episode is at most `alpha`.

    That is (sum of losses + 1) / (n + 1) <= alpha over the n episodes that were driven with this threshold or
    a looser one: a stricter filter keeps a robot from where its commands would be judged. And so for every
    smaller threshold. 0 where there is none: certify nothing. Needs n >= 1 / alpha - 1 episodes.
    """
    steps = np.unique(
        np.concatenate(
            [
                [0.0, most],
                *(e.risk[e.event] for e in episodes),
                [np.nextafter(e.allowed, 2.0) for e in episodes],
            ]
        )
    )
    for step in steps[steps <= most]:
        # Losses jump at an event's risk, and an episode drops out above its threshold: the bound is constant
        # between steps.
        if _bound(episodes, float(step)) > alpha + 1e-12:
            return float(np.nextafter(step, -1.0)) if step > 0.0 else 0.0
    return most


def _bound(episodes: Sequence[Judged], threshold: float) -> float:
    losses = [e.loss(threshold) for e in episodes if e.allowed >= threshold]
    return (sum(losses) + 1.0) / (len(losses) + 1.0)


def events(cost: NDArray[np.floating], horizon: int) -> NDArray[np.bool_]:
    """(T,) whether a cost falls within `horizon` periods, the present one included, of each command.

    Not where the robot is inside a violation already: nothing that is commanded there can be safe.
    """
    hit = np.asarray(cost) > 0.0
    inside = np.concatenate([[False], hit[:-1]])
    return np.asarray(soon(hit, horizon) & ~inside)


def soon(hit: NDArray[np.bool_], horizon: int) -> NDArray[np.bool_]:
    """(T,) whether a hit falls within `horizon` periods, the present one included, of each."""
    ahead = np.zeros(len(hit), bool)
    for k in range(min(horizon, len(hit))):
        ahead[: len(hit) - k] |= hit[k:]
    return ahead
