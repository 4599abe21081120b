"""Shadow mode in hindsight: what the filter would have changed, and whether it would have been right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from safe_o2o_ros.report.log import EpisodeLog
from safe_o2o_ros.types import Reason

HORIZON_S = 0.8
"""A change was justified where a cost follows within this time, seconds."""
_AS_ASKED = ("", Reason.PASS.value)


def shadow_counts(log: EpisodeLog) -> dict[str, int]:
    """Of one episode: periods, would-be changes, those that a cost followed; violations, those foreseen.

    A violation is a run of periods with a cost; it was foreseen where a change would have come within
    HORIZON_S before its first cost. Changes inside a violation are not judged.
    """
    horizon = max(1, round(HORIZON_S / log.period_s))
    cost = log.cost > 0.0
    change = np.array([word not in _AS_ASKED for word in log.would], bool)
    inside = np.concatenate([[False], cost[:-1]])
    begins = np.flatnonzero(cost & ~inside)
    judged = np.flatnonzero(change & ~inside)
    return {
        "ticks": len(cost),
        "changes": int(change.sum()),
        "judged": len(judged),
        "justified": int(sum(cost[i : i + horizon].any() for i in judged)),
        "violations": len(begins),
        "foreseen": int(sum(change[max(0, b - horizon + 1) : b + 1].any() for b in begins)),
    }


def shadow_summary(episodes: Sequence[dict[str, int]]) -> dict[str, Any]:
    """Of all episodes together; shares are null where there is nothing to share."""
    total = {key: sum(e[key] for e in episodes) for key in episodes[0]}
    return {
        "horizon_s": HORIZON_S,
        "changes_per_100": 100.0 * total["changes"] / total["ticks"] if total["ticks"] else 0.0,
        "justified_share": total["justified"] / total["judged"] if total["judged"] else None,
        "violations": total["violations"],
        "foreseen_share": total["foreseen"] / total["violations"] if total["violations"] else None,
    }


def in_words(summary: dict[str, Any]) -> str:
    """One sentence for people."""

    def percent(share: float | None) -> str:
        return "none" if share is None else f"{100 * share:.0f} %"

    return (
        f"the filter would have changed {summary['changes_per_100']:.1f} of 100 commands; a cost followed "
        f"within {summary['horizon_s']:g} s on {percent(summary['justified_share'])} of them, and it foresaw "
        f"{percent(summary['foreseen_share'])} of {summary['violations']} violations"
    )
