"""What the release gate says of a candidate bundle."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from enum import Enum


class Refusal(str, Enum):
    """Why a candidate does not go live: one word for each test it can fail."""

    DAMAGED = "damaged"
    """A file is missing, unreadable, or not the one its manifest states."""
    SCHEMA = "schema"
    """Its manifest is of another version, or not a manifest."""
    MISMATCH = "mismatch"
    """Made for another task, robot, camera set, control period, or its networks have other shapes."""
    SIGNATURE = "signature"
    """A key is configured and the signature is missing or of another key."""
    NON_FINITE = "non_finite"
    """A weight or an output is not finite."""
    PARITY = "parity"
    """It computes other numbers here than where it was trained."""
    LATENCY = "latency"
    """A step takes too long."""
    WORLD_MODEL = "world_model"
    """Its encoder explains held-out episodes worse."""
    PERMISSIVE = "permissive"
    """Its safety network, with thresholds calibrated here, certifies too much of what ended in a cost."""
    TIMID = "timid"
    """Its safety network certifies so much less than the running one that the robot would not move."""
    THRESHOLDS = "thresholds"
    """The thresholds it states are looser than those calibrated here."""
    RETURN = "return"
    """It is expected to earn less, or to cost more."""


@dataclass(frozen=True)
class Verdict:
    """The gate's answer."""

    version: str
    """Of the candidate; "" where its manifest cannot be read."""
    passed: bool
    refusal: Refusal | None
    """None where it passed."""
    sentence: str
    """What was found and, where it is refused, what to do."""
    measures: dict[str, float] = field(default_factory=dict)
    """Everything that was measured on the way, by name; units in the names."""

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(dataclasses.asdict(self), allow_nan=False)


def verdict_from_json(text: str) -> Verdict:
    """Inverse of `Verdict.to_json`. Raises ValueError where `text` is none."""
    try:
        data = json.loads(text)
        refusal = None if data["refusal"] is None else Refusal(data["refusal"])
        return Verdict(
            str(data["version"]), bool(data["passed"]), refusal, str(data["sentence"]), dict(data["measures"])
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a verdict: {error!r}") from error
