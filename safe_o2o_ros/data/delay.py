"""How long after a command its effect shows: cross-correlation of commands with what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BLOCK_S = 5.0
"""Stretches that are drawn as a whole for the uncertainty: commands last seconds, so single steps are no
independent samples."""
_RESAMPLES = 400
LEAST_CORRELATION = 0.3
"""Below this there is no effect to time."""
_LEAST_S = 10.0
"""Of moving record, for an estimate."""

Series = NDArray[np.float64]


@dataclass(frozen=True)
class Delay:
    """An estimate of the actuation delay."""

    delay_s: float
    std_s: float
    """Bootstrap over blocks of 5 s."""
    interval_s: tuple[float, float]
    """95 %, same bootstrap."""
    correlation: float
    """At the delay; its sign says which way the measurement counts."""
    channel: str
    """Command channel that was used."""
    against: str
    """What it was compared with."""
    samples: int


def estimate(
    pairs: Sequence[tuple[Series, Series]],
    period_s: float,
    channel: str,
    against: str,
    late_s: float,
    longest_s: float = 1.0,
) -> Delay | None:
    """From runs of (command, effect), each (T,) on one grid of `period_s`; None where nothing can be told.

    `late_s`: how much later than the command's sample the effect's sample was taken: half a period for the
    motion between two frames. Delays from 0 to `longest_s` are tried.
    """
    lags = int(round(longest_s / period_s)) + 2
    blocks = _blocks(pairs, lags, max(2, int(round(_BLOCK_S / period_s))))
    samples = int(blocks[:, 0, 0].sum()) if len(blocks) else 0
    if samples * period_s < _LEAST_S:
        return None
    peak, correlation = _peak(blocks.sum(axis=0))
    if peak is None or abs(correlation) < LEAST_CORRELATION:
        return None
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(_RESAMPLES):
        again, _ = _peak(blocks[rng.integers(0, len(blocks), len(blocks))].sum(axis=0))
        if again is not None:
            drawn.append(again * period_s + late_s)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Delay(
        peak * period_s + late_s,
        float(np.std(drawn)),
        (float(low), float(high)),
        correlation,
        channel,
        against,
        samples,
    )


def best(estimates: Sequence[Delay | None]) -> Delay | None:
    """The one with the strongest correlation."""
    return max((e for e in estimates if e is not None), key=lambda e: abs(e.correlation), default=None)


def _blocks(pairs: Sequence[tuple[Series, Series]], lags: int, size: int) -> NDArray[np.float64]:
    """(blocks, lags, 6) sums n, x, y, xx, yy, xy of command x, and effect y that many steps later."""
    found = []
    for command, effect in pairs:
        steps = min(len(command), len(effect))
        for first in range(0, steps - lags, size):
            stop = min(first + size, steps - lags)
            x = command[first:stop]
            sums = np.empty((lags, 6))
            for lag in range(lags):
                y = effect[first + lag : stop + lag]
                sums[lag] = (len(x), x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum())
            found.append(sums)
    return np.asarray(found).reshape(-1, lags, 6)


def _peak(sums: NDArray[np.float64]) -> tuple[float | None, float]:
    """Lag of the strongest correlation, in steps and between them by a parabola, and that correlation."""
    n, x, y, xx, yy, xy = sums.T
    n = np.maximum(n, 1.0)
    spread = np.sqrt(np.maximum(xx / n - (x / n) ** 2, 0.0) * np.maximum(yy / n - (y / n) ** 2, 0.0))
    r = np.divide(xy / n - x * y / n**2, spread, out=np.zeros_like(spread), where=spread > 1e-12)
    at = int(np.argmax(np.abs(r)))
    if at == len(r) - 1 or r[at] == 0.0:
        return None, 0.0
    strength = np.abs(r)
    if at == 0:
        return 0.0, float(r[0])
    left, mid, right = strength[at - 1 : at + 2]
    curve = left - 2.0 * mid + right
    shift = 0.5 * (left - right) / curve if curve < 0.0 else 0.0
    return at + float(np.clip(shift, -0.5, 0.5)), float(r[at])
