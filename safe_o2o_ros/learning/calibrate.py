"""Thresholds from recorded episodes.

The event is "a cost within the horizon although the command was called safe" (method.md). The threshold
is the largest one whose event rate over executed commands stays within alpha.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.errors import StoreError
from safe_o2o_ros.learning.dataset import Dataset
from safe_o2o_ros.manifest import Thresholds
from safe_o2o_ros.safety.conformal import soon
from safe_o2o_ros.safety.novelty import smoothed, window_of


def future_cost(
    cost: NDArray[np.float32], start: NDArray[np.int64], length: NDArray[np.int64], horizon: int
) -> NDArray[np.bool_]:
    """(N,) whether a cost falls within `horizon` control periods, the present one included, of each row."""
    event = np.zeros(len(cost), bool)
    for s, n in zip(start, length, strict=True):
        event[s : s + n] = soon(cost[s : s + n] > 0.0, horizon)
    return event


def risk_threshold(risk: NDArray[np.float32], event: NDArray[np.bool_], alpha: float) -> float:
    """Largest t such that at most `alpha` of the commands with risk <= t have the event; 0 if none."""
    order = np.argsort(risk, kind="stable")
    ordered = risk[order]
    rate = np.cumsum(event[order]) / np.arange(1, len(order) + 1)
    # A threshold cannot part commands of equal risk, so only the last of them counts.
    last = np.append(ordered[1:] != ordered[:-1], True)[: len(ordered)]
    allowed = np.flatnonzero((rate <= alpha) & last)
    return float(ordered[allowed[-1]]) if len(allowed) else 0.0


MAX_THRESHOLD = 0.99
MOST_OF_RATE = 0.5
"""Where costs are rare the bound is this share of their rate among all commands."""


@dataclass(frozen=True)
class Scores:
    """What trained networks say of a data set."""

    risk: NDArray[np.float32]
    """(M,) ensemble's upper bound of the risk of every recorded action."""
    surprise: NDArray[np.float32]
    """(N,) surprise of every row, nats."""
    pictures: NDArray[np.float32] | None = None
    """(N,) distance of every row's picture from those of training; None: the networks do not say."""
    support: NDArray[np.float32] | None = None
    """(M,) of every recorded action by the training data; None: the networks do not say."""


def calibrate(
    scores: Scores, data: Dataset, source: str, alpha: float = 0.02, horizon: int = 10
) -> Thresholds:
    """Thresholds on recorded episodes; `source` says in words which ones.

    Raises StoreError when no command can be judged: every one was given inside a violation, or none is
    followed by a cost. Any threshold would keep the bound on the latter, and certify whatever it liked.
    """
    rows = data.transitions
    risk = scores.risk
    event = future_cost(data.cost, data.start, data.length, horizon)[rows]
    usable = data.cost[rows] == 0.0  # inside a violation every command has the event
    if not usable.any():
        raise StoreError(f"every command of the {source} was given inside a violation: record other ones")
    rate = float(event[usable].mean())
    if rate == 0.0:
        raise StoreError(
            f"no command of the {source} is followed by a cost, so no threshold follows from them: calibrate "
            "on episodes that have costs"
        )
    # A bound above the rate of all commands would certify them all and say nothing.
    alpha = min(alpha, MOST_OF_RATE * rate)
    # A risk of 1 is a certain violation, whatever the data says: never certified.
    threshold = min(risk_threshold(risk[usable], event[usable], alpha), MAX_THRESHOLD)
    levels, novelty = novelty_levels(*of_episodes(scores, data))
    support = None if scores.support is None else float(np.quantile(scores.support, UNSUPPORTED))
    return Thresholds(
        risk=threshold,
        support=support,
        **levels,
        provenance={
            "event": f"cost within {horizon} control periods of a command called safe",
            "alpha": alpha,
            "rate": rate,
            "horizon_periods": horizon,
            "commands": int(usable.sum()),
            "events": int(event[usable].sum()),
            "certified_share": float((risk[usable] <= threshold).mean()),
            "episodes": len(data.start),
            "source": source,
            **novelty,
        },
    )


UNSUPPORTED = 0.005
"""Share of recorded commands that the data itself hardly knows."""
CAUTION_ALPHA, STOP_ALPHA = 0.01, 0.02
"""Shares of ordinary episodes that each sign may call for caution at any time (of its ticks), or stop."""
_STOP_FACTOR = 1.25
"""Sets the stop apart from the most unusual ordinary episode: few episodes say little of rare ones."""


def of_episodes(scores: Scores, data: Dataset) -> tuple[dict[str, list[NDArray[np.floating]]], int]:
    """Signs of every episode, and the gauge's window, for `novelty_levels`."""
    known = {"surprise": scores.surprise, "pictures": scores.pictures}
    signs = {
        name: [values[s : s + n] for s, n in zip(data.start, data.length, strict=True)]
        for name, values in known.items()
        if values is not None
    }
    return signs, window_of(data.manifest.period_s)


def novelty_levels(
    signs: Mapping[str, Sequence[NDArray[np.floating]]], window: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Thresholds of surprise and pictures as keywords of Thresholds, and what to note of them.

    `signs`: "surprise" and, where it is told, "pictures" -> of every episode (T,); `window`: control periods.

    Means over the gauge's window, as it has them. Caution: exceeded by CAUTION_ALPHA of all ticks. Stop:
    what ceil((n + 1) (1 - STOP_ALPHA)) of n episodes never exceed (split conformal; with fewer than
    1 / STOP_ALPHA episodes the most unusual of them), times _STOP_FACTOR.
    """
    levels: dict[str, float] = {}
    for name, episodes in signs.items():
        means = [smoothed(values, window) for values in episodes]
        most = np.sort([float(m.max()) for m in means])
        last = min(len(most), math.ceil((len(most) + 1) * (1.0 - STOP_ALPHA))) - 1
        caution = float(np.quantile(np.concatenate(means), 1.0 - CAUTION_ALPHA))
        levels |= {f"{name}_caution": caution, f"{name}_stop": max(_STOP_FACTOR * float(most[last]), caution)}
    return levels, {"caution_alpha": CAUTION_ALPHA, "stop_alpha": STOP_ALPHA}


def nothing_certified(scores: Scores, data: Dataset, source: str, reason: str) -> Thresholds:
    """Thresholds of a bundle that knows no risk (NoSafety says 1 of every command); `reason`: why not."""
    levels, novelty = novelty_levels(*of_episodes(scores, data))
    return Thresholds(
        risk=0.0,
        **levels,
        provenance={
            "nothing_certified": reason,
            "certified_share": 0.0,
            "episodes": len(data.start),
            "source": source,
            **novelty,
        },
    )
