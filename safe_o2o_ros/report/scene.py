"""What the pictures need to know about a task beside the log; works without the simulator installed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.report.log import EpisodeLog
from safe_o2o_ros.report.things import PUBLISHED, Outline, Thing, goal_places, things

_MARGIN_M = 0.5
"""What the view from above and the floor plan show around the arena."""

_WALL_MARGIN_M = 0.2
"""What the floor plan shows around the walls of a room."""


@dataclass(frozen=True)
class SceneView:
    """Sizes of a task's floor plan."""

    half_width_m: float | None
    """Half the side of the square that the view from above shows on the floor; None = not known."""
    goal_radius_m: float
    """Where a goal counts as reached."""
    saturation: NDArray[np.float32]
    """(A,) raw action at which an actuator saturates: commands are drawn relative to it."""
    room_m: tuple[float, float] | None = None
    """Half the length and width of a room with walls around the origin; None = no walls."""
    robot_radius_m: float | None = None
    """Of the disc that may touch things; None = the robot is drawn as a point."""
    outlines: Mapping[str, Outline] = field(default_factory=lambda: PUBLISHED)
    """Key in a layout -> shape and size."""
    goal_half_m: float | None = None
    """Half the side of a goal that looks like a square; None = it looks like a disc of `goal_radius_m`."""
    wheels: bool = False
    """The two action channels are the left and the right wheel, and not forward and turn."""

    def things(self, log: EpisodeLog) -> Iterator[Thing]:
        """The objects of an episode where they were at its start."""
        return things(log.layout, self.outlines)


def scene_view(task: str, actions: int, variant: str | None = None) -> SceneView:
    """The view of a simulated task under a variant, by name.

    Defaults for a robot, for unknown names, or where the simulator is not installed.
    """
    unknown = SceneView(None, 0.3, np.ones(actions, np.float32))
    try:
        from safe_o2o_ros.sim.robots import ROOM_RADIUS_M
        from safe_o2o_ros.sim.room.layout import HALF_SIZE_M
        from safe_o2o_ros.sim.tasks import TASKS, variant_spec
        from safe_o2o_ros.sim.variant_scene import varied_task
    except ModuleNotFoundError:
        return unknown
    if task not in TASKS:
        return unknown
    try:
        change = variant_spec(variant, task)
    except UsageError:
        change = variant_spec(None)
    spec = TASKS[task]
    saturation = np.asarray(spec.robot.adapter.saturation, np.float32)
    half = spec.extent + _MARGIN_M
    if task == "RoomNav":
        room = (float(HALF_SIZE_M[0]), float(HALF_SIZE_M[1]))
        return SceneView(half, spec.goal_radius, saturation, room, ROOM_RADIUS_M)
    spec = varied_task(spec, change)
    outlines = {group.kind.key: _outline(group.kind) for group in spec.groups}
    if change.circle is not None and "hazards" in outlines:
        still = outlines["hazards"]
        outlines["hazards"] = Outline(still.half, still.box, track_m=change.circle.radius_m)
    return SceneView(
        half,
        spec.goal_radius,
        saturation,
        outlines=outlines,
        goal_half_m=float(spec.goal.size[0]) if spec.goal.shape == "box" else None,
        wheels=spec.robot.adapter.wheels,
    )


def _outline(kind: Any) -> Outline:
    """The outline of a simulated kind of object; gremlins are led from the circle's far end along y."""
    box = kind.shape == "box"
    half = (float(kind.size[0]), float(kind.size[1] if box else kind.size[0]))
    start = 0.5 * math.pi if kind.travel > 0.0 else None
    return Outline(half, box, float(kind.travel), start, float(kind.corner))


def goal_ticks(log: EpisodeLog) -> NDArray[np.intp]:
    """Ticks at whose end a goal was reached: its bonus of 1 is far above a period's reward for progress."""
    return np.flatnonzero(log.reward > 0.7)


def plan_half_width(log: EpisodeLog, view: SceneView) -> float:
    """Half the side of a square around the origin that holds arena, objects and path, metres."""
    low, high = _extent(log, view)
    return float(np.maximum(-low, high).max())


def plan_window(log: EpisodeLog, view: SceneView) -> tuple[float, float, float]:
    """Centre x, y and half the side of the smallest such square anywhere, metres: for who drove far away."""
    low, high = _extent(log, view)
    x, y = (0.5 * (low + high)).tolist()
    return x, y, float(0.5 * (high - low).max())


def _extent(log: EpisodeLog, view: SceneView) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest x and y that a plan shows, (2,) each."""
    arena = view.half_width_m or 1.0
    if view.room_m is not None:
        arena = max(view.room_m) + _WALL_MARGIN_M
    points = [log.position, np.asarray(goal_places(log.layout), np.float64).reshape(-1, 2)]
    points.append(np.array([(t.x, t.y) for t in view.things(log)]).reshape(-1, 2))
    known = np.concatenate(points)
    low = np.nanmin(known, axis=0, initial=0.0) - 0.25
    high = np.nanmax(known, axis=0, initial=0.0) + 0.25
    return np.minimum(low, -arena), np.maximum(high, arena)
