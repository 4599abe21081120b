"""From a candidate to the running bundle and, if need be, back: what happens in which order.

    candidate --(queue of one)--> gate --> offer --> live --> canary --> kept
                                    |        |                   |
                                    v        v                   v
                                 refused  refused          rolled back: the parent is offered

Pure: events go in, what is to be done comes out of `take`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from safe_o2o_ros.errors import OfferError
from safe_o2o_ros.online.offer import Ack, Active, Named, Offer, named_from_json
from safe_o2o_ros.online.verdict import Verdict

_TRIES = 3
"""A roll back that the nodes do not follow is offered so often."""


@dataclass(frozen=True)
class Candidate(Named):
    """A bundle that wants to run."""

    by_hand: bool = False
    """A person asks: what was rolled back or refused before may be tried again."""
    id: str = ""
    """Given by who asks; verdicts repeat it."""


def candidate_from_json(text: str) -> Candidate:
    """A message of `bundle/candidate`. Raises OfferError."""
    named, more = named_from_json(text, "candidate")
    by_hand, asked = more.get("by_hand", False), more.get("id", "")
    if not isinstance(by_hand, bool) or not isinstance(asked, str):
        raise OfferError("the candidate's 'by_hand' must be true or false and its 'id' a string")
    return Candidate(named.version, named.path, named.sha256, by_hand, asked)


@dataclass(frozen=True)
class Said:
    """What is told on `bundle/verdict` and written to the log: a verdict, and which step it is of."""

    event: str
    """gate, offer, live, kept, rollback, superseded, known."""
    candidate: str
    """Version of the candidate, "" where there was none."""
    version: str
    """Version that is offered: the candidate's networks with this robot's thresholds."""
    passed: bool
    sentence: str
    refusal: str | None = None
    """The gate's word for the test that failed."""
    measures: dict[str, float] = field(default_factory=dict)
    sha256: str = ""
    """Of the candidate's manifest."""
    id: str = ""
    evidence: str = ""
    """File, where there is one."""


@dataclass(frozen=True)
class Gate:
    """Start the gate."""

    candidate: Candidate
    running: Active


@dataclass(frozen=True)
class CancelGate:
    """End the gate that runs: its verdict is not wanted any more."""


@dataclass(frozen=True)
class Publish:
    """Publish an offer."""

    offer: Offer


@dataclass(frozen=True)
class Watch:
    """The canary begins."""

    running: Active


@dataclass(frozen=True)
class Unwatch:
    """The canary ends."""


Effect = Said | Gate | CancelGate | Publish | Watch | Unwatch


@dataclass(frozen=True)
class _Offered:
    candidate: Candidate | None
    """None for a roll back."""
    offer: Offer
    since_s: float
    back_from: str = ""
    why: str = ""
    evidence: str = ""
    measures: dict[str, float] = field(default_factory=dict)
    tries: int = 1


class ReleaseDesk:
    """One candidate at a time; of those that wait, the newest."""

    def __init__(self, offer_timeout_s: float, canary: bool, log: Iterable[dict[str, Any]] = ()) -> None:
        """`log`: what was said before, as objects: what was refused or rolled back is remembered."""
        self._timeout_s, self._canary = offer_timeout_s, canary
        self._active: Active | None = None
        self._waiting: Candidate | None = None
        self._gating: Candidate | None = None
        self._offered: _Offered | None = None
        self._watched: _Offered | None = None
        self._effects: list[Effect] = []
        self._count, self._now_s = 0, 0.0
        self._returns: Candidate | None = None
        self._rolled_back: set[str] = set()
        self._decided: set[tuple[str, str]] = set()
        for said in log:
            self._remember(said)

    def take(self) -> list[Effect]:
        """What is to be done, in order; told once."""
        effects, self._effects = self._effects, []
        return effects

    @property
    def busy(self) -> str:
        """What is going on, for diagnostics: idle, gate, offer, canary, rollback."""
        if self._offered is not None:
            return "offer" if self._offered.candidate is not None else "rollback"
        return "canary" if self._watched is not None else "gate" if self._gating is not None else "idle"

    def candidate(self, candidate: Candidate) -> None:
        """A bundle wants to run."""
        if not candidate.by_hand:
            if candidate.version in self._rolled_back:
                self._say(candidate, "known", "it was rolled back before: offer it by hand to try it again")
                return
            if (candidate.version, candidate.sha256) in self._decided:
                return  # said again by a latched topic
        same = (candidate.version, candidate.sha256)
        for other in (self._waiting, self._gating):
            if other is not None and (other.version, other.sha256) == same and not candidate.by_hand:
                return
        if self._waiting is not None:
            self._say(self._waiting, "superseded", f"the newer candidate {candidate.version} takes its place")
        self._waiting = candidate
        self._next()

    def active(self, active: Active) -> None:
        """The encoder says what runs."""
        self._active = active
        offered = self._offered
        if offered is not None and active.version == offered.offer.version:
            self._offered = None
            self._arrived(offered, active)
        elif self._watched is not None and active.version != self._watched.offer.version:
            self._watched = None  # somebody else has changed the bundle: nothing is left to judge
            self._effects.append(Unwatch())
        self._next()

    def gated(self, verdict: Verdict, offered: Named | None) -> None:
        """The gate has judged; `offered`: the bundle it wrote, where it passed."""
        candidate, self._gating = self._gating, None
        if candidate is None:
            return
        said = Said(
            "gate",
            candidate.version,
            verdict.version or candidate.version,
            verdict.passed and offered is not None,
            verdict.sentence,
            verdict.refusal.value if verdict.refusal else None,
            verdict.measures,
            candidate.sha256,
            candidate.id,
        )
        self._tell(said)
        if offered is not None and verdict.passed and self._active is not None:
            self._publish(candidate, offered, since_s=self._now_s)
        self._next()

    def heard(self, ack: Ack, coordinator: str = "encoder_node") -> None:
        """A node has spoken of an offer; the encoder's refusal is the last word."""
        offered = self._offered
        if offered is None or ack.ok or ack.node != coordinator or ack.id != offered.offer.id:
            return
        self._failed(offered, ack.reason)

    def judged(self, keep: bool, sentence: str, measures: dict[str, float], evidence: str) -> None:
        """The canary has ended."""
        watched = self._watched
        if watched is None or watched.candidate is None:
            return
        if keep:
            self._watched = None
            self._say(watched.candidate, "kept", sentence, True, watched.offer.version, measures)
            self._next()
            return
        wrong = self.roll_back(sentence, measures, evidence)
        if wrong:
            self._watched = None
            text = f"FAILED: {wrong}; {sentence}"
            self._say(watched.candidate, "rollback", text, False, watched.offer.version, measures, evidence)

    def roll_back(self, why: str, measures: dict[str, float] | None = None, evidence: str = "") -> str:
        """Back to what ran before; returns what is wrong with that, or ""."""
        active, pending = self._active, self._offered
        candidate: Candidate | None
        if active is None:
            return "no bundle is known to run: is encoder_node there?"
        if pending is not None and pending.candidate is None:
            return "it is being rolled back already"
        if pending is not None and pending.candidate is not None:
            # It does not run yet: withdraw it, by an offer of what runs.
            target = Named(active.version, active.path, active.sha256)
            back_from, candidate = pending.offer.version, pending.candidate
        elif active.previous is None:
            return f"bundle {active.version} is the first: nothing ran before it"
        elif active.previous.version in self._rolled_back:
            return f"bundle {active.previous.version} ran before, and was rolled back itself"
        else:
            target, back_from = active.previous, active.version
            candidate = self._watched.candidate if self._watched is not None else None
        self._rolled_back |= {back_from} | ({candidate.version} if candidate is not None else set())
        if self._watched is not None:
            self._watched = None
            self._effects.append(Unwatch())
        if self._gating is not None:
            # It is being compared with a bundle that is about to go.
            self._waiting, self._gating = self._waiting or self._gating, None
            self._effects.append(CancelGate())
        offer = self._offer(target, active.version, rollback=True)
        self._offered = _Offered(None, offer, self._now_s, back_from, why, evidence, dict(measures or {}))
        self._returns = candidate
        self._effects.append(Publish(offer))
        return ""

    def tick(self, now_s: float) -> None:
        """Time has passed: steady clock, seconds."""
        self._now_s = now_s
        offered = self._offered
        if offered is not None and now_s - offered.since_s > self._timeout_s:
            self._failed(offered, f"encoder_node said nothing within {self._timeout_s:g} s: look at its log")
        self._next()

    def _next(self) -> None:
        if self._waiting is None or self._active is None or self.busy != "idle":
            return
        self._gating, self._waiting = self._waiting, None
        self._effects.append(Gate(self._gating, self._active))

    def _publish(self, candidate: Candidate, named: Named, since_s: float) -> None:
        assert self._active is not None
        offer = self._offer(named, self._active.version, rollback=False)
        self._offered = _Offered(candidate, offer, since_s)
        self._effects.append(Publish(offer))

    def _offer(self, named: Named, parent: str, rollback: bool) -> Offer:
        self._count += 1
        unique = f"{named.sha256[:8]}-{self._count}-{int(1e3 * self._now_s)}"
        return Offer(named.version, named.path, named.sha256, parent, rollback, unique)

    def _arrived(self, offered: _Offered, active: Active) -> None:
        if offered.candidate is None:
            self._say(
                self._returns,
                "rollback",
                f"bundle {active.version} runs again, in the place of {offered.back_from}: {offered.why}",
                False,
                offered.back_from,
                offered.measures,
                offered.evidence,
            )
            return
        self._say(offered.candidate, "live", f"bundle {active.version} runs", True, active.version)
        if self._canary and active.previous is not None:
            self._watched = offered
            self._effects.append(Watch(active))

    def _failed(self, offered: _Offered, reason: str) -> None:
        self._offered = None
        if offered.candidate is not None:
            self._say(
                offered.candidate,
                "offer",
                f"the running bundle stays: {reason}",
                False,
                offered.offer.version,
            )
        elif offered.tries < _TRIES:
            offer = self._offer(offered.offer, offered.offer.parent or "", rollback=True)
            self._offered = replace(offered, offer=offer, since_s=self._now_s, tries=offered.tries + 1)
            self._effects.append(Publish(offer))
            return
        else:
            self._say(
                self._returns,
                "rollback",
                f"FAILED: {offered.back_from} still runs ({reason}); {offered.why}",
                False,
                offered.back_from,
                offered.measures,
                offered.evidence,
            )
        self._next()

    def _say(
        self,
        candidate: Candidate | None,
        event: str,
        sentence: str,
        passed: bool = False,
        version: str = "",
        measures: dict[str, float] | None = None,
        evidence: str = "",
    ) -> None:
        about = candidate or Candidate("", "", "")
        said = Said(
            event,
            about.version,
            version or about.version,
            passed,
            sentence,
            None,
            measures or {},
            about.sha256,
            about.id,
            evidence,
        )
        self._tell(said)

    def _tell(self, said: Said) -> None:
        self._remember(said.__dict__)
        self._effects.append(said)

    def _remember(self, said: dict[str, Any]) -> None:
        names = {str(said.get("candidate", "")), str(said.get("version", ""))} - {""}
        if said.get("event") == "rollback":
            self._rolled_back |= names
        elif said.get("event") in ("offer", "live") or (
            said.get("event") == "gate" and not said.get("passed")
        ):
            self._decided.add((str(said.get("candidate", "")), str(said.get("sha256", ""))))


def said_to_json(said: Said, time: str) -> str:
    """One line: the fields of a Verdict, and more. `time`: when, for people."""
    return json.dumps({"time": time, **said.__dict__}, allow_nan=False)
