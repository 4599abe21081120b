"""What crosses from one stage to the next: frozen records, each field with shape, dtype, unit, frame."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
ImageArray = NDArray[np.uint8]


@dataclass(frozen=True)
class FrameSet:
    """One image of every camera the bundle lists, taken at one time."""

    stamp_ns: int
    """Capture time, nanoseconds, on the clock of the sender."""
    image: ImageArray
    """(H, W, 3 * cameras) uint8 RGB at the bundle's size, cameras stacked on channels in manifest order."""


@dataclass(frozen=True)
class Latent:
    """One recurrent step of the world model."""

    stamp_ns: int
    """Stamp of the frame set it was computed from, ns."""
    version: str
    """Bundle version that made it; policy and filter follow it."""
    feature: FloatArray
    """(N,) float32: deterministic state, category probabilities, percept; where the manifest says so, then
    the three signs of novelty."""
    surprise: float
    """KL(posterior || prior) of this step, nats; 0 at the first step of an episode."""


@dataclass(frozen=True)
class Proposal:
    """The policy's nominal command."""

    stamp_ns: int
    """Stamp of the latent it answers, ns."""
    action: FloatArray
    """(A,) float32 raw action in [-1, 1]."""
    source: str
    """Which policy proposed it: "offline" or "online"."""


@dataclass(frozen=True)
class MeasuredSpeed:
    """What odometry says of the base, beside what its commands let expect."""

    speed: FloatArray
    """(A,) float32, speed of each action channel, m/s and rad/s in base_link."""
    age_s: float
    """Seconds since it was received."""
    still_s: float = 0.0
    """Seconds since its value last changed by a single bit."""


class Source(str, Enum):
    """Whose wish an answer follows."""

    POLICY = "policy"
    OPERATOR = "operator"
    NONE = "none"
    """Nobody's: a brake."""


class Level(IntEnum):
    """How things are, with the numbers of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


class Mode(str, Enum):
    """What the safety filter does with what it computes."""

    FILTER = "filter"
    """Substitute commands that are not certified."""
    SHADOW = "shadow"
    """Compute and report, pass the nominal command through the limits."""
    LIMITS_ONLY = "limits_only"
    """Limits only; needs no bundle."""


class Reason(str, Enum):
    """Why the filter answered what it did; the first row of its decision table that applies."""

    E_STOP = "e_stop"
    DISABLED = "disabled"
    OPERATOR = "operator"
    WAITING = "waiting"
    STALE = "stale"
    NON_FINITE = "non_finite"
    UNKNOWN_BUNDLE = "unknown_bundle"
    NOVEL = "out_of_distribution"
    PASS = "pass"
    SUBSTITUTE = "substitute"
    ESCAPE = "escape"
    RECOVER = "recover"
    STUCK = "stuck"
    SHADOW = "shadow"
    LIMITS_ONLY = "limits_only"
    SHUTDOWN = "shutdown"


BRAKE_REASONS = frozenset(
    {
        Reason.E_STOP,
        Reason.DISABLED,
        Reason.WAITING,
        Reason.STALE,
        Reason.NON_FINITE,
        Reason.UNKNOWN_BUNDLE,
        Reason.NOVEL,
        Reason.STUCK,
        Reason.SHUTDOWN,
    }
)
"""Reasons that mean the robot adapter's brake."""


@dataclass(frozen=True)
class Decision:
    """The filter's answer: always an action, always a reason."""

    stamp_ns: int
    """Stamp of the image it answers, ns; for a deadline answer the last one answered, 0 before any."""
    action: FloatArray
    """(A,) float32 raw action in [-1, 1], what the base is told."""
    changed: bool
    """The filter (not a limit) replaced the nominal command."""
    reason: Reason
    late_input: str
    """Name of the late, missing or invalid input, "" if none."""
    value: float
    """1 - risk of the state: 1 = safe, 0 = a violation is expected; NaN when not computed."""
    threshold: float
    """Value below which a command is not certified (1 - risk threshold); NaN when not computed."""
    candidates: int
    """Number of commands that were scored, 0 when none."""
    version: str
    """Bundle version used, "" when none."""
    source: Source = Source.NONE
    nominal: FloatArray | None = None
    """(A,) float32 raw action that was asked for, by the policy or the operator; None when by nobody."""
    scores: FloatArray | None = None
    """(candidates, A + 1) float32: raw action and risk of each scored command, the nominal first."""
    speed_source: str = "model"
    """Where the speed came from that limits and brake start at: "odom" or "model" (executed commands)."""
    novelty: str = ""
    """What is unusual and how much, e.g. "caution: pictures"; "" where nothing is, or nobody knows."""
    would: Reason | None = None
    """In mode shadow: the reason that mode filter would have answered with; None elsewhere."""
    would_action: FloatArray | None = None
    """(A,) float32 raw action of that answer."""
