"""What an import found, as numbers: message counts that add up, rates, delays, gaps, contacts, outliers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from safe_o2o_ros.data.aligned import NS, Alignment, Settings
from safe_o2o_ros.data.recorded_episodes import amounts
from safe_o2o_ros.data.tracks import CostTrack, Recording, Track

_MOST_GAPS = 50
"""Gaps that the report lists; all are counted."""


@dataclass(frozen=True)
class TopicReport:
    """One topic or column."""

    name: str
    kind: str
    role: str
    messages: int
    """All there were: `used` plus all `drops`."""
    used: int
    """Messages in at least one step of an episode."""
    drops: dict[str, int]
    """Reason -> messages."""
    rate_hz: float | None
    """1 / median spacing of those that could be read."""
    delay_ms: tuple[float, float] | None
    """Median and 95th percentile of receipt minus stamp."""
    clock: str
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return vars(self) | {"delay_ms": None if self.delay_ms is None else list(self.delay_ms)}


def topic_report(track: Track, alignment: Alignment) -> TopicReport:
    """The account of one track."""
    drops = Counter(track.drops) + alignment.fates[id(track)]
    spacing = np.diff(track.stamps_ns)
    spacing = spacing[spacing > 0]
    delay = None
    if track.delay_ns is not None and len(track.delay_ns):
        median, late = np.percentile(track.delay_ns / 1e6, (50.0, 95.0))
        delay = (round(float(median), 3), round(float(late), 3))
    return TopicReport(
        name=track.name,
        kind=track.kind,
        role=track.role,
        messages=track.received,
        used=alignment.used[id(track)],
        drops=dict(drops.most_common()),
        rate_hz=round(NS / float(np.median(spacing)), 3) if len(spacing) else None,
        delay_ms=delay,
        clock=track.clock,
        notes=list(track.notes),
    )


def report(recording: Recording, alignment: Alignment, settings: Settings) -> dict[str, Any]:
    """The whole account of an import, JSON values; times in seconds from the first message of the clock."""
    clock = recording.clock
    first = int(clock.stamps_ns[0]) if clock is not None and len(clock) else 0
    costs = [amounts(recording.costs, e.edges_ns, settings.command_timeout_ns) for e in alignment.episodes]
    rewards = [amounts(recording.rewards, e.edges_ns) for e in alignment.episodes]
    return {
        "source": recording.source,
        "period_s": settings.period_ns / NS,
        "first_stamp_ns": first,
        "pairs": alignment.pairs,
        "pairs_of": None if clock is None else clock.role,
        "episodes": [
            {
                "start_s": (int(e.edges_ns[0]) - first) / NS,
                "steps": len(e),
                "ending": e.ending,
                "cost": float(c.sum()),
                "reward": float(r.sum()),
            }
            for e, c, r in zip(alignment.episodes, costs, rewards, strict=True)
        ],
        "repeated_frames": alignment.repeated,
        "costly_steps": int(sum((c > 0.0).sum() for c in costs)),
        "clipped_commands": recording.clipped,
        "gap_count": len(alignment.gaps),
        "gaps": [
            {"at_s": (at - first) / NS, "length_s": length / NS} for at, length in alignment.gaps[:_MOST_GAPS]
        ],
        "contacts": [c for track in recording.costs for c in _contacts(track)],
        "topics": [topic_report(track, alignment).to_json() for track in recording.tracks()],
        "notes": list(recording.notes),
    }


def _contacts(track: CostTrack) -> list[dict[str, Any]]:
    """Of every state among the costs: how many messages say it is on, and how often it came on."""
    found = []
    states = [i for i, level in enumerate(track.level) if level]
    columns = [(track.columns[i], track.values[:, i] > 0.0) for i in states]
    if len(columns) > 1:
        columns.append(("any", track.on()))
    for name, on in columns:
        touches = int((np.diff(np.r_[0, on.astype(np.int8)]) == 1).sum())
        found.append({"source": f"{track.name}:{name}", "messages": int(on.sum()), "touches": touches})
    return found
