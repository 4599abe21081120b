"""What the pictures need to know about a task beside the log; works without the simulator installed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.report import style
from safe_o2o_ros.report.log import EpisodeLog

_MARGIN_M = 0.5
"""What the view from above and the floor plan show around the arena."""


@dataclass(frozen=True)
class SceneView:
    """Sizes of a task's floor plan."""

    half_width_m: float | None
    """Half the side of the square that the view from above shows on the floor; None = not known."""
    goal_radius_m: float
    saturation: NDArray[np.float32]
    """(A,) raw action at which an actuator saturates: commands are drawn relative to it."""


@dataclass(frozen=True)
class Thing:
    """One object on the floor plan, world frame, metres."""

    label: str
    x: float
    y: float
    yaw: float
    colour: style.RGB
    size: float
    """Radius of a disc, half the side of a square."""
    square: bool = False


_KINDS: dict[str, tuple[str, style.RGB, float, bool]] = {
    "hazards": ("hazard", style.HAZARD, 0.2, False),
    "vases": ("vase", style.VASE, 0.1, True),
}
"""Key in a layout -> label, colour, size, square. What is not listed is drawn as a grey disc."""


def scene_view(task: str, actions: int) -> SceneView:
    """The view of a simulated task; defaults for a robot or where the simulator is not installed."""
    try:
        from safe_o2o_ros.sim.tasks import TASKS
    except ModuleNotFoundError:
        return SceneView(None, 0.3, np.ones(actions, np.float32))
    spec = TASKS.get(task)
    if spec is None:
        return SceneView(None, 0.3, np.ones(actions, np.float32))
    saturation = np.asarray(spec.robot.adapter.saturation, np.float32)
    return SceneView(spec.extent + _MARGIN_M, spec.goal_radius, saturation)


def things(layout: dict[str, Any]) -> Iterator[Thing]:
    """Everything in a layout but agent and goals."""
    for key, value in layout.items():
        if key in ("agent", "goals") or key.endswith("_yaw") or not isinstance(value, list):
            continue
        points = np.asarray(value, np.float64)
        if points.ndim not in (1, 2) or points.shape[-1:] != (2,):
            continue  # not places, such as the order of buttons
        label, colour, size, square = _KINDS.get(key, (key.rstrip("s"), style.OTHER, 0.1, False))
        places = points.reshape(-1, 2)
        yaws = np.broadcast_to(np.asarray(layout.get(f"{key}_yaw", 0.0), np.float64), len(places))
        for (x, y), yaw in zip(places.tolist(), yaws.tolist(), strict=True):
            yield Thing(label, x, y, yaw, colour, size, square)


def goal_ticks(log: EpisodeLog) -> NDArray[np.intp]:
    """Ticks at whose end a goal was reached: its bonus of 1 is far above a period's reward for progress."""
    return np.flatnonzero(log.reward > 0.7)


def plan_half_width(log: EpisodeLog, view: SceneView) -> float:
    """Half the side of a square around the origin that holds arena, objects and path, metres."""
    points = [log.position, np.asarray(log.layout.get("goals", []), np.float64).reshape(-1, 2)]
    points.append(np.array([(t.x, t.y) for t in things(log.layout)]).reshape(-1, 2))
    far = float(np.nanmax(np.abs(np.concatenate(points)), initial=0.0)) + 0.25
    return max(far, view.half_width_m or 1.0)
