"""What a replay came to: the policy against the driver, the filter's answers, what was lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.data.driven import Driven
from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.types import Reason

Floats = NDArray[np.float64]

_AS_ASKED = (Reason.PASS.value, Reason.OPERATOR.value, Reason.LIMITS_ONLY.value)
_SAME = 1e-3
"""Commands that differ less are the same, in the units of the twist."""
_NOT_TAKEN = "not taken by the encoder in time"
_BETWEEN = "faster than the control period"


@dataclass(frozen=True)
class Course:
    """What happened at each frame that was answered, in the order of the recording. NaN, "": unknown."""

    seconds: Floats
    """(n,) recorded time since the first frame."""
    policy: Floats
    """(n, A) command of the policy, in the units of the twist."""
    driver: Floats
    """(n, A) recorded command, in the units of the twist."""
    would: tuple[str, ...]
    """(n,) reason that mode filter would have answered with."""
    would_action: Floats
    """(n, A) and its command."""
    value: Floats
    """(n,) safety value, 1 = safe."""
    threshold: Floats
    """(n,) value below which a command is not certified."""
    novelty: tuple[str, ...]
    """(n,) level and signs, as in safety/state."""
    age_ms: Floats
    """(n,) from image_raw to executed_cmd, by the writers' clocks."""
    cost: Floats
    """(n,) recorded cost from this frame to the next."""


def course(found: Mapping[str, Any], driven: Driven, adapter: RobotAdapter) -> Course:
    """`found`: what nodes/replay_probe.py writes."""
    answers: dict[int, Mapping[str, Any]] = {}
    for state in found["states"]:
        # The first answer to a frame; later ones are those of deadlines.
        answers.setdefault(state["stamp_ns"], state)
    rows = _answered(found)
    nothing = [np.nan] * adapter.action_dim
    driver = [driven.at(row["stamp_ns"]) for row in rows]
    states = [answers.get(row["stamp_ns"], {}) for row in rows]
    frames = np.searchsorted(driven.frames_ns, [row["stamp_ns"] for row in rows], "right") - 1
    images = _image_times(found, driven)
    return Course(
        seconds=np.array([(r["stamp_ns"] - int(driven.frames_ns[0])) * 1e-9 for r in rows]),
        policy=_twists([row["nominal"] for row in rows], adapter),
        driver=_twists([nothing if d is None else d.tolist() for d in driver], adapter),
        would=tuple(s.get("would") or s.get("reason", "") for s in states),
        would_action=_twists([s.get("would_action") or nothing for s in states], adapter),
        value=np.array([s.get("value", np.nan) for s in states], np.float64),
        threshold=np.array([s.get("threshold", np.nan) for s in states], np.float64),
        novelty=tuple(s.get("novelty", "") for s in states),
        age_ms=np.array([(r["executed_ns"] - images(r)) * 1e-6 for r in rows], np.float64),
        cost=np.asarray(driven.cost, np.float64)[np.maximum(frames, 0)],
    )


def _answered(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [r for r in found["rows"] if all(k in r for k in ("latent_ns", "nominal", "executed_ns"))]


def _image_times(found: Mapping[str, Any], driven: Driven) -> Any:
    """When the first camera's frame of an answer was published; stamps of several cameras may differ."""
    rows = [r for r in found["rows"] if "image_ns" in r]
    stamps = np.array([r["stamp_ns"] for r in rows], np.int64)

    def time_of(row: Mapping[str, Any]) -> float:
        if "image_ns" in row:
            return float(row["image_ns"])
        near = int(np.argmin(np.abs(stamps - row["stamp_ns"]))) if len(stamps) else -1
        if near < 0 or abs(int(stamps[near]) - row["stamp_ns"]) > driven.period_ns // 2:
            return float("nan")
        return float(rows[near]["image_ns"])

    return time_of


def _twists(actions: Sequence[Sequence[float]], adapter: RobotAdapter) -> Floats:
    """Raw actions to the twist fields that carry them, (n, A)."""
    rows = [list(adapter.to_twist(np.asarray(a, np.float32)).values()) for a in actions]
    return np.array(rows, np.float64).reshape(-1, adapter.action_dim)


def driver_numbers(course: Course, adapter: RobotAdapter) -> dict[str, Any] | None:
    """Policy against driver, per channel; None where no frame has both."""
    both = np.isfinite(course.driver).all(axis=1) & np.isfinite(course.policy).all(axis=1)
    if not both.any():
        return None
    channels = {}
    for channel, (name, unit) in enumerate(zip(adapter.action_names, adapter.action_units, strict=True)):
        policy, driver = course.policy[both, channel], course.driver[both, channel]
        channels[name] = {
            "unit": unit,
            "mean_absolute_difference": float(np.abs(policy - driver).mean()),
            "of_the_best_constant": float(np.abs(driver - np.median(driver)).mean()),
            "correlation": _correlation(policy, driver),
        }
    return {"frames": int(both.sum()), "channels": channels}


def _correlation(a: Floats, b: Floats) -> float | None:
    """Pearson's; None where one of the two does not change."""
    if len(a) < 2 or np.ptp(a) < 1e-9 or np.ptp(b) < 1e-9:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def filter_numbers(course: Course) -> dict[str, Any]:
    """What mode filter would have done: answers that are no pass, and how many change the command."""
    total = len(course.would)
    reasons = Counter(course.would)
    objected = np.array([reason not in _AS_ASKED for reason in course.would], np.bool_)
    # A command may be answered with itself: nothing near it is better.
    other = np.abs(course.would_action - course.policy) > _SAME
    changed = int((objected & (other.any(axis=1) | np.isnan(course.would_action).any(axis=1))).sum())
    levels = Counter(text.partition(":")[0] or "none" for text in course.novelty)
    return {
        "not_passed": int(objected.sum()),
        "would_change": changed,
        "would_change_share": changed / total if total else None,
        "reasons": dict(reasons.most_common()),
        "novelty": dict(levels.most_common()),
        "value": _range(course.value),
        "threshold": _range(course.threshold),
    }


def _range(values: Floats) -> dict[str, float] | None:
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    return {"min": float(known.min()), "median": float(np.median(known)), "max": float(known.max())}


def frame_numbers(found: Mapping[str, Any], camera: str, recorded: int) -> dict[str, Any]:
    """Where each frame of the first camera went: played = answered + all that is lost, by cause.

    `recorded`: messages of its topic.
    """
    diagnostics = found["diagnostics"]
    source = diagnostics.get(f"camera_node: {camera}", {})
    encoder = diagnostics.get("encoder_node", {})
    played = int(source.get("frames", found["received"][camera]))
    rows = [r for r in found["rows"] if "image_ns" in r or "latent_ns" in r]
    answered = len(_answered(found))
    lost: Counter[str] = Counter()
    for row in rows:
        if "latent_ns" in row and "nominal" not in row:
            lost["no command of the policy"] += 1
        elif "latent_ns" in row and "executed_ns" not in row:
            lost["no answer of the filter"] += 1
    left = played - answered - sum(lost.values())
    causes = (
        (_BETWEEN, int(encoder.get("between_periods", 0))),
        ("without a partner of the other cameras", int(encoder.get(f"dropped_{camera}", 0))),
        ("refused by the encoder", int(encoder.get(f"refused_{camera}", 0))),
    )
    for cause, count in causes:
        lost[cause] = min(count, left)
        left -= lost[cause]
    lost[_NOT_TAKEN] = left
    not_played = {k.removeprefix("dropped_"): int(v) for k, v in source.items() if k.startswith("dropped_")}
    missing = recorded - played - sum(not_played.values())
    if missing > 0:
        not_played["unread"] = missing
    return {
        "recorded": recorded,
        "not_played": not_played,
        "played": played,
        "answered": answered,
        "lost": dict(+lost),
        "begun_anew": found["resets"],
        "without_its_command": int(encoder.get("executed_cmd_missing", 0)),
    }


def age_numbers(course: Course) -> dict[str, float | None]:
    """Milliseconds from image_raw to executed_cmd."""
    known = course.age_ms[np.isfinite(course.age_ms)]
    if not len(known):
        return {"p50": None, "p99": None, "max": None}
    return {
        "p50": float(np.percentile(known, 50)),
        "p99": float(np.percentile(known, 99)),
        "max": float(known.max()),
    }


def deadline_numbers(found: Mapping[str, Any], until_ns: int) -> dict[str, int]:
    """Brakes between frames, before the last one: reason and input -> answers."""
    seen: set[int] = set()
    reasons: Counter[str] = Counter()
    for state in found["states"]:
        stamp_ns = state["stamp_ns"]
        if stamp_ns in seen and 0 < stamp_ns < until_ns:
            reasons[" ".join(filter(None, (state["would"] or state["reason"], state["late_input"])))] += 1
        seen.add(stamp_ns)
    return dict(reasons.most_common())
