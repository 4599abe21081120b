"""The canary: whether things went worse since another bundle drives.

Events are counted per second of driving, before and after the change; what stands, waits or is driven by a
human counts for nothing. A sign is worse when its rate has grown by more than a factor that is allowed,
beyond chance: given n events in all, the number after the change is binomial, exactly, also for few. The
canary looks a few times, so each look at each sign has its share of the risk of a false alarm. Where that
takes too long (a human who takes over again and again), a plain number is the limit.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from safe_o2o_ros.types import Reason

INTERVENTION, FAULT, OVERRIDE, NOVELTY = "interventions", "faults", "overrides", "novelty"
SURPRISE, COST, LATE = "surprise", "costs", "late_inputs"
SIGNS = (INTERVENTION, FAULT, OVERRIDE, NOVELTY, SURPRISE, COST, LATE)
"""What is counted: a human takes over, stops or disables; an output that is not finite or of nobody (and each
second of it); the filter begins to replace commands; something novel begins; seconds more surprising than 19
in 20 before; a cost begins; an input comes late."""
_HUMAN = frozenset({Reason.OPERATOR, Reason.E_STOP, Reason.DISABLED})
_FAULTS = frozenset({Reason.NON_FINITE, Reason.UNKNOWN_BUNDLE})
_OVERRIDES = frozenset({Reason.SUBSTITUTE, Reason.ESCAPE, Reason.RECOVER, Reason.STUCK})
_DRIVING = _OVERRIDES | {Reason.PASS, Reason.SHADOW, Reason.LIMITS_ONLY, Reason.NOVEL}
_APART_S = 1.0
"""Events of one sign that are closer are one."""
_LONGEST_S = 1.0
"""The longest time that one state speaks for."""
_USUAL = 0.95
_LEAST_BLOCKS = 20
"""Seconds of driving before the change, below which nothing is called surprising."""
_STATES = 5000


@dataclass(frozen=True)
class CanaryBounds:
    """What is still allowed."""

    seconds: float = 60.0
    """Of driving that the canary watches; 0 = no canary."""
    baseline_s: float = 600.0
    """Seconds of driving before the change that it is compared with, at most."""
    ratio: float = 2.0
    """Growth of a rate that is allowed."""
    alpha: float = 0.05
    """Probability that a bundle which is not worse is rolled back, all signs and looks together."""
    looks: int = 4
    most: Mapping[str, int] = field(default_factory=lambda: {INTERVENTION: 3, FAULT: 3})
    """Sign -> number of events that is too much whatever was before; signs may be missing."""


@dataclass(frozen=True)
class Finding:
    """The end of a canary."""

    keep: bool
    sentence: str
    measures: dict[str, float]


def tail(n: int, at_least: int, p: float) -> float:
    """Probability of `at_least` or more successes in `n` trials of probability `p`."""
    return math.fsum(math.comb(n, k) * p**k * (1.0 - p) ** (n - k) for k in range(at_least, n + 1))


def chance(after: int, after_s: float, before: int, before_s: float, ratio: float) -> float:
    """Probability of so many events after, or more, if the rate has grown by `ratio` and no more.

    Given their sum; 1 where there is nothing to compare with.
    """
    if after == 0 or before_s <= 0.0 or after_s <= 0.0:
        return 1.0
    return tail(after + before, after, ratio * after_s / (ratio * after_s + before_s))


class Canary:
    """Tell it everything at all times; `begin` when the bundle changes, then ask for the `finding`."""

    def __init__(self, bounds: CanaryBounds) -> None:
        self._bounds = bounds
        self._driven_s = 0.0
        self._now_s: float | None = None
        self._reason: Reason | None = None
        self._fault_s = 0.0
        self._novel = self._costs = False
        self._last: dict[str, float] = {}
        self._events: deque[tuple[float, str]] = deque()
        self._block: list[float] = []
        self._blocks: deque[tuple[float, float]] = deque()
        self._begun_s: float | None = None
        self._looked = 0
        self._limit = math.inf
        self._states: deque[Mapping[str, Any]] = deque(maxlen=_STATES)

    @property
    def watching(self) -> bool:
        """A change is being judged."""
        return self._begun_s is not None

    @property
    def watched_s(self) -> float:
        """Seconds of driving since the change."""
        return 0.0 if self._begun_s is None else self._driven_s - self._begun_s

    def state(self, now_s: float, reason: Reason, novelty: str, said: Mapping[str, Any]) -> None:
        """The filter said how it answers. `said`: all of it, as evidence. `now_s`: steady clock, seconds."""
        self._advance(now_s)
        before, self._reason = self._reason, reason
        if reason is not before:
            for sign, reasons in ((INTERVENTION, _HUMAN), (FAULT, _FAULTS), (LATE, {Reason.STALE})):
                # What was so when watching began, or only changes its kind, is no event.
                if reason in reasons and before is not None and before not in reasons:
                    self._count(sign, now_s)
            if reason in _OVERRIDES and before in _DRIVING - _OVERRIDES:
                self._count(OVERRIDE, now_s)
        if novelty and not self._novel and reason in _DRIVING:
            self._count(NOVELTY, now_s)
        self._novel = bool(novelty)
        if self.watching:
            self._states.append({"time_s": round(now_s, 3), **said})

    def cost(self, now_s: float, cost: float) -> None:
        """The cost of a control period."""
        if cost > 0.0 and not self._costs and self._reason in _DRIVING:
            self._count(COST, now_s)
        self._costs = cost > 0.0

    def surprise(self, surprise: float) -> None:
        """The surprise of a control period, nats."""
        if self._reason in _DRIVING and math.isfinite(surprise):
            self._block.append(surprise)

    def begin(self, same_encoder: bool) -> None:
        """The bundle has changed. Surprise is compared only where the same encoder is surprised."""
        self._begun_s, self._looked = self._driven_s, 0
        self._states.clear()
        known = [value for _, value in self._blocks]
        comparable = same_encoder and len(known) >= _LEAST_BLOCKS
        self._limit = float(np.quantile(known, _USUAL)) if comparable else math.inf

    def end(self) -> None:
        """Stop watching."""
        self._begun_s = None

    def finding(self) -> Finding | None:
        """The end of the canary, once it is there; then it watches no more."""
        if self._begun_s is None:
            return None
        counts = self._counts()
        for sign, most in self._bounds.most.items():
            if most and counts[sign][0] >= most:
                return self._found(False, f"{counts[sign][0]} {sign} in {self.watched_s:.0f} s of driving")
        due = math.floor(self.watched_s * self._bounds.looks / self._bounds.seconds + 1e-9)
        if due <= self._looked:
            return None
        self._looked = due
        before_s = self._before_s
        share = self._bounds.alpha / (self._bounds.looks * len(SIGNS))
        for sign, (after, before) in counts.items():
            if chance(after, self.watched_s, before, before_s, self._bounds.ratio) < share:
                return self._found(
                    False,
                    f"{after} {sign} in {self.watched_s:.0f} s of driving, {before} in {before_s:.0f} s "
                    f"before: more than {self._bounds.ratio:g} times as many",
                )
        if due >= self._bounds.looks:
            return self._found(True, f"no sign of harm in {self.watched_s:.0f} s of driving")
        return None

    def measures(self) -> dict[str, float]:
        """What was counted, by name."""
        found = {"watched_s": self.watched_s, "before_s": self._before_s}
        for sign, (after, before) in self._counts().items():
            found |= {sign: float(after), f"{sign}_before": float(before)}
        return {name: round(value, 3) for name, value in found.items()}

    def evidence(self) -> dict[str, Any]:
        """Everything a person needs to judge: counts, when each event was, every state since the change."""
        begun_s = self._begun_s or 0.0
        return {
            "measures": self.measures(),
            "bounds": {
                "ratio": self._bounds.ratio,
                "alpha": self._bounds.alpha,
                "looks": self._bounds.looks,
                "most": dict(self._bounds.most),
            },
            "events": [{"driven_s": round(t - begun_s, 3), "sign": sign} for t, sign in self._events],
            "states": list(self._states),
        }

    @property
    def _before_s(self) -> float:
        return min(self._begun_s or 0.0, self._bounds.baseline_s)

    def _found(self, keep: bool, sentence: str) -> Finding:
        return Finding(keep, sentence, self.measures())

    def _counts(self) -> dict[str, tuple[int, int]]:
        """Events after and before the change, by sign."""
        begun_s = self._begun_s or 0.0
        first_s = begun_s - self._bounds.baseline_s
        after = Counter(sign for t, sign in self._events if t >= begun_s)
        before = Counter(sign for t, sign in self._events if first_s <= t < begun_s)
        if math.isfinite(self._limit):
            for t, value in self._blocks:
                if value > self._limit and t >= first_s:
                    (after if t > begun_s else before)[SURPRISE] += 1
        return {sign: (after[sign], before[sign]) for sign in SIGNS}

    def _advance(self, now_s: float) -> None:
        """Time has passed with the last reason."""
        passed_s = 0.0 if self._now_s is None else min(max(0.0, now_s - self._now_s), _LONGEST_S)
        self._now_s = now_s
        if self._reason in _FAULTS:
            self._fault_s += passed_s
            while self._fault_s >= 1.0:
                self._fault_s -= 1.0
                self._events.append((self._driven_s, FAULT))
        else:
            self._fault_s = 0.0
        if self._reason not in _DRIVING:
            self._block.clear()
            return
        whole = math.floor(self._driven_s)
        self._driven_s += passed_s
        if math.floor(self._driven_s) > whole and self._block:
            self._blocks.append((self._driven_s, float(np.mean(self._block))))
            self._block.clear()
        oldest_s = self._driven_s - self._bounds.baseline_s - self._bounds.seconds - 1.0
        for kept in (self._events, self._blocks):
            while kept and kept[0][0] < oldest_s:
                kept.popleft()

    def _count(self, sign: str, now_s: float) -> None:
        if now_s - self._last.get(sign, -math.inf) >= _APART_S:
            self._last[sign] = now_s
            self._events.append((self._driven_s, sign))
