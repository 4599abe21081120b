"""Thresholds from recorded episodes.

The event is "a cost within the horizon although the command was called safe" (method.md). The threshold
is the largest one whose event rate over executed commands stays within alpha.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from safe_o2o_ros.manifest import Thresholds

if TYPE_CHECKING:
    from safe_o2o_ros.learning.pretrain import Run


def future_cost(cost: NDArray[np.float32], start: NDArray[np.int64], length: NDArray[np.int64], horizon: int) -> NDArray[np.bool_]:
    """(N,) whether a cost falls within `horizon` control periods, the present one included, of each row."""
    event = np.zeros(len(cost), bool)
    for s, n in zip(start, length, strict=True):
        hit = cost[s : s + n] > 0.0
        ahead = np.zeros(n, bool)
        for k in range(min(horizon, n)):
            ahead[: n - k] |= hit[k:]
        event[s : s + n] = ahead
    return event


def risk_threshold(risk: NDArray[np.float32], event: NDArray[np.bool_], alpha: float) -> float:
    """Largest threshold t such that at most `alpha` of the commands with risk <= t have the event; 0 if none."""
    order = np.argsort(risk, kind="stable")
    rate = np.cumsum(event[order]) / np.arange(1, len(order) + 1)
    allowed = np.flatnonzero(rate <= alpha)
    return float(risk[order][allowed[-1]]) if len(allowed) else 0.0


@torch.no_grad()
def thresholds_from_run(run: Run, alpha: float = 0.02, horizon: int = 10) -> Thresholds:
    """Thresholds on the run's own training episodes; `safe-o2o calibrate` on held-out ones replaces them."""
    from safe_o2o_ros.learning.latents import cache_latents

    data = run.dataset
    features, surprise = cache_latents(run.model, data, "cpu")
    rows = data.transitions
    risk = np.concatenate(
        [
            run.agent.q_reach(features[block], torch.from_numpy(data.action[block])).amax(0).numpy()
            for block in np.array_split(rows, max(1, len(rows) // 4096))
        ]
    )
    inside = data.cost[rows] > 0.0
    event = future_cost(data.cost, data.start, data.length, horizon)[rows]
    usable = ~inside  # a command given inside a violation is judged by its escape, not by this event
    threshold = risk_threshold(risk[usable], event[usable], alpha)
    return Thresholds(
        risk=threshold,
        surprise_caution=float(np.quantile(surprise.numpy()[rows], 0.99)),
        surprise_stop=float(np.quantile(surprise.numpy()[rows], 0.9999)),
        provenance={
            "event": f"cost within {horizon} control periods of a command called safe",
            "alpha": alpha,
            "horizon_periods": horizon,
            "commands": int(usable.sum()),
            "events": int(event[usable].sum()),
            "certified_share": float((risk[usable] <= threshold).mean()),
            "episodes": len(data.start),
            "source": "training episodes",
        },
    )
