"""How sure a mean over episodes is: bootstrap intervals of means and of paired differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.errors import UsageError

RESAMPLES = 10_000
_CHUNK = 1_000
"""Resamples drawn at once, which bounds the memory."""


def mean_interval(
    values: Sequence[float], level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of the mean of independent `values`, one per episode.

    The same values and seed give the same interval. None with fewer than two values, which say nothing about
    their spread. Raises UsageError on NaN, infinity, or a level outside (0, 1).
    """
    sample = np.asarray(values, np.float64)
    if not np.isfinite(sample).all():
        raise UsageError("an interval needs finite values: one of the episodes has NaN or infinity")
    if not 0.0 < level < 1.0 or resamples < 1:
        raise UsageError(
            f"an interval needs a level in (0, 1) and at least one resample, got {level} and {resamples}: "
            "choose e.g. 0.95 and 10000"
        )
    count = len(sample)
    if count < 2:
        return None
    rng = np.random.default_rng(seed)
    parts = [min(_CHUNK, resamples - done) for done in range(0, resamples, _CHUNK)]
    means = np.concatenate([sample[rng.integers(0, count, (part, count))].mean(axis=1) for part in parts])
    low, high = np.quantile(means, (0.5 - 0.5 * level, 0.5 + 0.5 * level))
    return float(low), float(high)


def interval_of(
    statistic: Callable[[NDArray[np.int64]], float],
    count: int,
    level: float = 0.95,
    resamples: int = 1_000,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of any `statistic` of `count` independent things, such as drives.

    It is given the indices (count,) of those that were drawn. Draws of which it has no finite value are left
    out. None with fewer than two things, or where hardly any draw had a value.
    """
    if count < 2:
        return None
    rng = np.random.default_rng(seed)
    values = np.array([statistic(rng.integers(0, count, count)) for _ in range(resamples)])
    values = values[np.isfinite(values)]
    if len(values) < resamples // 2:
        return None
    low, high = np.quantile(values, (0.5 - 0.5 * level, 0.5 + 0.5 * level))
    return float(low), float(high)


def difference_interval(
    first: Sequence[float],
    second: Sequence[float],
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Interval of mean(first) - mean(second), both from the same episodes in the same order.

    Whole pairs are drawn, so what the episodes have in common cancels. See `mean_interval`.
    Raises UsageError where the lengths differ.
    """
    if len(first) != len(second):
        raise UsageError(
            f"{len(first)} and {len(second)} episodes cannot be paired: compare runs of the same seeds"
        )
    return mean_interval(np.subtract(first, second).tolist(), level, resamples, seed)
