"""The picture around the robot, in base_link: what was asked, what was done instead, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.monitor.palette import CHANGE, NOMINAL, PASS, STOP, TRACK, WHITE, faded, reason_colour
from safe_o2o_ros.monitor.prediction import predict
from safe_o2o_ros.monitor.shapes import RGBA, Kind, Shape, shape
from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.types import FloatArray

_BAR_LENGTH = 0.8
_BAR_WIDTH = 0.07
_BAR_HEIGHT = 0.05
_LETTER = 0.085
_STAND_M = 0.02
"""A predicted path shorter than this is drawn as a dot."""
_LINE_CHARACTERS = 26
_OVER_THRESHOLD = np.array([1.0, 0.68, 0.2, 1.0])
"""A candidate just over the risk threshold; one at risk 1 is drawn as a stop."""


@dataclass(frozen=True)
class FilterState:
    """What `safety/state` says, as text and numbers; "" and NaN where it says nothing."""

    reason: str = ""
    """"" means no word from the filter."""
    mode: str = ""
    source: str = ""
    """"policy", "operator" or "none"."""
    late_input: str = ""
    value: float = math.nan
    threshold: float = math.nan
    bundle: str = ""
    robot: str = ""
    """Name of the robot adapter."""
    wiring: str = ""
    """What is wrong with the graph around the filter, e.g. another node that sends commands."""


@dataclass(frozen=True)
class Snapshot:
    """Everything the picture is made of; None where nothing recent is known."""

    adapter: RobotAdapter
    state: FilterState = FilterState()
    nominal: FloatArray | None = None
    """(A,) raw action the policy asked for."""
    executed: FloatArray | None = None
    """(A,) raw action the base was told."""
    candidates: FloatArray | None = None
    """(K, A + 1): raw actions, then the risk in [0, 1] of each."""
    speed: NDArray[np.float64] | None = None
    """(3,) vx, vy (m/s), wz (rad/s) in base_link by odometry."""
    value: float = math.nan
    """Newest safety value; may be newer than the state's."""
    radius_m: float = 0.2
    """Of the ring drawn around the base."""


def overlay(snapshot: Snapshot) -> list[Shape]:
    """Shapes in base_link, m; far ones first. Shapes may hold NaN where the inputs do."""
    return [
        *_fan(snapshot),
        *_command(snapshot, "nominal", snapshot.nominal, faded(NOMINAL, 0.55), 0.045, 0.010),
        *_command(
            snapshot, "executed", snapshot.executed, reason_colour(snapshot.state.reason), 0.028, 0.016
        ),
        _ring(snapshot),
        *_bar(snapshot),
        _text(snapshot),
    ]


def _fan(snapshot: Snapshot) -> Iterator[Shape]:
    """Every scored candidate: certified ones green, the others orange to red with their risk."""
    table = snapshot.candidates
    if table is None or len(table) == 0:
        return
    # The least risky last, on top.
    table = table[np.argsort(-table[:, -1], kind="stable")]
    paths = predict(table[:, :-1], snapshot.adapter, snapshot.speed, steps=10)
    colours = candidate_colours(table[:, -1].astype(np.float64), snapshot.state.threshold)
    pairs = np.stack([paths[:, :-1], paths[:, 1:]], axis=2)
    points = _lifted(pairs.reshape(-1, 2), 0.004)
    per_path = pairs.shape[1] * 2
    thin = (0.006, 0.0, 0.0)
    yield shape("candidates", Kind.LINE_LIST, points, thin, np.repeat(colours, per_path, axis=0))
    ends = _lifted(paths[:, -1], 0.006)
    yield shape("candidate_ends", Kind.DOTS, ends, (0.024, 0.024, 0.024), colours)


def candidate_colours(risk: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """(K, 4) RGBA of risks (K,) in [0, 1]; `threshold` is the lowest certified value, 1 - risk, or NaN."""
    # The slack is rounding: what is just certified must not look refused.
    allowed = 1.0 - threshold + 1e-6 if math.isfinite(threshold) else 0.5
    above = np.clip((risk - allowed) / max(1.0 - allowed, 1e-6), 0.0, 1.0)[:, None]
    warm = (1.0 - above) * _OVER_THRESHOLD + above * np.asarray(STOP)
    colours = np.where((risk <= allowed)[:, None], np.asarray(PASS), warm)
    colours[:, 3] = 0.5
    return colours


def _command(
    snapshot: Snapshot, name: str, raw: FloatArray | None, colour: RGBA, width: float, height: float
) -> Iterator[Shape]:
    """A command as the path it leads to, with an arrow's head; a dot where the base would stand."""
    if raw is None:
        return
    path = predict(raw[None], snapshot.adapter, snapshot.speed, steps=20)[0]
    along = path[-1] - path[-2]
    if not np.hypot(*(path[-1] - path[0])) >= _STAND_M or not np.hypot(*along) > 0.0:
        dot = 2.0 * width
        yield shape(name, Kind.DOTS, np.array([*path[-1], height]), (dot, dot, dot), colour)
        return
    yield shape(name, Kind.LINE_STRIP, _lifted(path, height), (width, 0.0, 0.0), colour)
    ahead = along / np.hypot(*along)
    left = np.array([-ahead[1], ahead[0]])
    size = 0.04 + 1.2 * width
    head = np.stack([path[-1] + size * 1.4 * ahead, path[-1] + size * left, path[-1] - size * left])
    yield shape(f"{name}_head", Kind.TRIANGLES, _lifted(head, height), (1.0, 1.0, 1.0), colour)


def _ring(snapshot: Snapshot) -> Shape:
    """Where the base is, in the colour of the answer."""
    angle = np.linspace(0.0, 2.0 * math.pi, 41)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    # The nose shows where ahead is, also while the base stands.
    outline = snapshot.radius_m * np.vstack([circle, (1.35, 0.0)])
    colour = reason_colour(snapshot.state.reason)
    return shape("base", Kind.LINE_STRIP, _lifted(outline, 0.02), (0.025, 0.0, 0.0), colour)


def _bar(snapshot: Snapshot) -> Iterator[Shape]:
    """The value beside the base, filling forward from 0 to 1, with a tick at the threshold."""
    value, threshold = snapshot.value, snapshot.state.threshold
    if math.isnan(value):
        return
    side = snapshot.radius_m + 0.16
    back = -0.5 * _BAR_LENGTH
    track = (_BAR_LENGTH + 0.02, _BAR_WIDTH + 0.02, 0.5 * _BAR_HEIGHT)
    yield shape("value_track", Kind.BOX, np.array([0.0, side, 0.25 * _BAR_HEIGHT]), track, TRACK)
    # An infinite value stays one, so that it is dropped and counted and not drawn as certainty.
    shown = min(max(value, 0.0), 1.0) if math.isfinite(value) else value
    filled = _BAR_LENGTH * max(shown, 0.01)
    colour = CHANGE if value < threshold else PASS
    centre = np.array([back + 0.5 * filled, side, 0.5 * _BAR_HEIGHT])
    yield shape("value", Kind.BOX, centre, (filled, _BAR_WIDTH, _BAR_HEIGHT), colour)
    if math.isfinite(threshold):
        tick = np.array([back + _BAR_LENGTH * threshold, side, 0.6 * _BAR_HEIGHT])
        yield shape("threshold", Kind.BOX, tick, (0.018, _BAR_WIDTH + 0.07, 1.2 * _BAR_HEIGHT), WHITE)


def _text(snapshot: Snapshot) -> Shape:
    """The words, behind the base."""
    place = np.array([-snapshot.radius_m - 0.45, 0.0, 0.35])
    words = "\n".join(_short(line) for line in _lines(snapshot.state, snapshot.value))
    return shape("words", Kind.TEXT, place, (0.0, 0.0, _LETTER), WHITE, words)


def _lines(state: FilterState, value: float) -> Iterator[str]:
    if not state.reason:
        yield "NO SAFETY STATE"
        return
    late = f": {state.late_input}" if state.late_input else ""
    if state.reason != "shadow":
        yield f"{state.reason.upper().replace('_', ' ')}{late}"
    if state.mode == "shadow":
        yield "SHADOW: NOT PROTECTED"
    if state.wiring:
        yield "WIRING: SEE DIAGNOSTICS"
    if not math.isnan(value):
        over = f" (min {state.threshold:.2f})" if math.isfinite(state.threshold) else ""
        yield f"value {value:.2f}{over}"
    yield " · ".join(part for part in (state.mode, state.source) if part)
    if state.bundle:
        yield state.bundle


def _short(line: str) -> str:
    return line if len(line) <= _LINE_CHARACTERS else line[: _LINE_CHARACTERS - 1] + "…"


def _lifted(points: NDArray[np.float64], height: float) -> NDArray[np.float64]:
    """(N, 2) on the floor to (N, 3), a little above each other so that nothing flickers."""
    return np.column_stack([points, np.full(len(points), height)])
