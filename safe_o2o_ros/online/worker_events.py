"""What the learner's process says on its stdout, one JSON object a line."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Ready:
    """It has loaded everything and goes on from this update."""

    update: int


@dataclass(frozen=True)
class Progress:
    """How far it is."""

    update: int
    transitions: int
    """Of the robot's own, that it has taken in."""
    losses: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate:
    """A bundle it has made."""

    path: str
    version: str
    update: int


@dataclass(frozen=True)
class Waiting:
    """It does nothing at the moment, and why."""

    text: str


@dataclass(frozen=True)
class Failed:
    """What went wrong, in a sentence."""

    text: str


Event = Ready | Progress | Candidate | Waiting | Failed


def parse_event(line: str) -> Event | None:
    """The event of a line; None where it is none."""
    try:
        data = json.loads(line)
        match data["event"]:
            case "ready":
                return Ready(int(data["update"]))
            case "progress":
                losses = {str(k): float(v) for k, v in data.get("losses", {}).items()}
                finite = {k: v for k, v in losses.items() if math.isfinite(v)}
                return Progress(int(data["update"]), int(data["transitions"]), finite)
            case "candidate":
                return Candidate(str(data["path"]), str(data["version"]), int(data["update"]))
            case "waiting":
                return Waiting(str(data["text"]))
            case "error":
                return Failed(str(data["text"]))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        pass
    return None
