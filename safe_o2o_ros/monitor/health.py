"""Which topics are live, and whose silence is the cause of the others'."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from safe_o2o_ros.types import Level

_WINDOW = 40
"""Arrivals a rate is measured over."""
_MIN_ARRIVALS = 10
_SLOW = 0.7
"""A node that answers a smaller share of its input is called slow."""


@dataclass(frozen=True)
class Verdict:
    """The state of the graph in one sentence, with the numbers behind it."""

    level: Level
    message: str
    values: dict[str, str]
    silent: str = ""
    """The topic whose silence comes first in the flow of data, "" if none."""


@dataclass
class _Topic:
    owner: str = ""
    publishers: int = 0
    arrivals: deque[float] = field(default_factory=lambda: deque(maxlen=_WINDOW))

    def age(self, now_s: float) -> float:
        return now_s - self.arrivals[-1] if self.arrivals else math.inf

    def rate(self) -> float:
        if len(self.arrivals) < _MIN_ARRIVALS:
            return math.nan
        return (len(self.arrivals) - 1) / max(self.arrivals[-1] - self.arrivals[0], 1e-6)


class GraphHealth:
    """Ages by receipt on a steady clock. Topics are judged in the order data flows."""

    def __init__(self, silence_s: float) -> None:
        """A topic not heard for `silence_s` seconds is silent."""
        self.silence_s = silence_s
        """May be changed at any time."""
        self._topics: dict[str, _Topic] = {}

    def note(self, topic: str, now_s: float) -> None:
        """A message came."""
        self._topics.setdefault(topic, _Topic()).arrivals.append(now_s)

    def publishers(self, topic: str, names: Sequence[str]) -> None:
        """Nodes that publish the topic now. The last one known is remembered when it is gone."""
        known = self._topics.setdefault(topic, _Topic())
        known.publishers = len(names)
        if names:
            known.owner = ", ".join(sorted(set(names)))

    def known(self, topic: str) -> bool:
        """A message ever came, or somebody was seen to publish it."""
        known = self._topics.get(topic, _Topic())
        return bool(known.arrivals or known.owner)

    def live(self, topic: str, now_s: float) -> bool:
        """A message came recently."""
        return topic in self._topics and self._topics[topic].age(now_s) <= self.silence_s

    def judge(
        self, now_s: float, expected: Sequence[str], answers: Sequence[tuple[str, str]] = ()
    ) -> Verdict:
        """`expected` topics in the order data flows; `answers`: (input, output) pairs of one rate."""
        values: dict[str, str] = {}
        silent = [t for t in expected if not self.live(t, now_s)]
        for topic in expected:
            known = self._topics.get(topic, _Topic())
            age, rate = known.age(now_s), known.rate()
            values[f"age_{topic}_s"] = f"{age:.2f}" if math.isfinite(age) else "never"
            if topic not in silent and math.isfinite(rate):
                values[f"rate_{topic}_hz"] = f"{rate:.1f}"
            if known.owner:
                values[f"publisher_{topic}"] = known.owner if known.publishers else f"{known.owner} (gone)"
        if silent:
            first, *later = silent
            after = f"; also silent: {', '.join(later)}" if later else ""
            return Verdict(Level.ERROR, self._cause(first, now_s) + after, values, first)
        slow = [text for pair in answers if (text := self._slow(*pair))]
        if slow:
            return Verdict(Level.WARN, "; ".join(slow), values)
        return Verdict(Level.OK, f"{len(expected)} topics live", values)

    def _cause(self, topic: str, now_s: float) -> str:
        known = self._topics.get(topic, _Topic())
        if not known.owner:
            return f"nobody publishes {topic}"
        if not known.arrivals:
            return f"{known.owner} has not sent {topic} yet"
        how = "is silent" if known.publishers else "is gone"
        return f"{known.owner} {how}: {topic} is {known.age(now_s):.1f} s old"

    def _slow(self, source: str, answer: str) -> str:
        given, answered = (self._topics.get(t, _Topic()) for t in (source, answer))
        share = answered.rate() / given.rate()
        # Comparisons with NaN, where too little has arrived, are false.
        if share < _SLOW:
            return f"{answered.owner or answer} answers {share:.0%} of {source} ({answered.rate():.1f} Hz)"
        return ""


@dataclass(frozen=True)
class Report:
    """A diagnostic status of another node."""

    name: str
    level: int
    message: str
    at_s: float
    """Receipt on a steady clock, seconds."""


class Reports:
    """The newest diagnostic of each name; forgotten when it is not renewed."""

    def __init__(self, keep_s: float = 10.0, most: int = 200) -> None:
        """At most `most` names are held, so that a flood of names cannot fill the memory."""
        self._keep_s = keep_s
        self._most = most
        self._reports: dict[str, Report] = {}

    def note(self, report: Report) -> None:
        """Take one in."""
        if report.name in self._reports or len(self._reports) < self._most:
            self._reports[report.name] = report

    def judge(self, now_s: float) -> Verdict:
        """The worst of what others say; its level is at most ERROR."""
        self._reports = {n: r for n, r in self._reports.items() if now_s - r.at_s <= self._keep_s}
        values = {n: r.message or "ok" for n, r in sorted(self._reports.items())}
        bad = sorted((r for r in self._reports.values() if r.level > 0), key=lambda r: (-r.level, r.name))
        if not bad:
            return Verdict(Level.OK, f"{len(values)} reports, all well", values)
        level = Level(min(bad[0].level, Level.ERROR))
        return Verdict(level, "; ".join(f"{r.name}: {r.message}" for r in bad[:3]), values)
