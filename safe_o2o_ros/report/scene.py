"""What the pictures need to know about a task beside the log; works without the simulator installed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.report import style
from safe_o2o_ros.report.log import EpisodeLog

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
    saturation: NDArray[np.float32]
    """(A,) raw action at which an actuator saturates: commands are drawn relative to it."""
    room_m: tuple[float, float] | None = None
    """Half the length and width of a room with walls around the origin; None = no walls."""
    robot_radius_m: float | None = None
    """Of the disc that may touch things; None = the robot is drawn as a point."""


@dataclass(frozen=True)
class Thing:
    """One object on the floor plan, world frame, metres."""

    label: str
    x: float
    y: float
    yaw: float
    colour: style.RGB
    half: tuple[float, float]
    """Half the sides of a box along its own x and y; the radius of a disc, twice."""
    box: bool = False
    above: bool = False
    """Stands on legs, which are things of their own: the robot passes under it."""

    def corners(self) -> NDArray[np.float64]:
        """(4, 2) of a box."""
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        local = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) * self.half
        return local @ np.array([[cos, sin], [-sin, cos]]) + (self.x, self.y)


_KINDS: dict[str, tuple[str, style.RGB, float, bool]] = {
    "hazards": ("hazard", style.HAZARD, 0.2, False),
    "vases": ("vase", style.VASE, 0.1, True),
}
"""Key in a layout -> label, colour, size, box. What is not listed is drawn as a grey disc."""

_LEG_HALF_M, _LEG_INSET_M = 0.025, 0.035
"""Half the width of a table's leg, and its centre's distance from the top's edges, as in sim/room/."""


def scene_view(task: str, actions: int) -> SceneView:
    """The view of a simulated task; defaults for a robot or where the simulator is not installed."""
    unknown = SceneView(None, 0.3, np.ones(actions, np.float32))
    try:
        from safe_o2o_ros.sim.robots import ROOM_RADIUS_M
        from safe_o2o_ros.sim.room.layout import HALF_SIZE_M
        from safe_o2o_ros.sim.tasks import TASKS
    except ModuleNotFoundError:
        return unknown
    spec = TASKS.get(task)
    if spec is None:
        return unknown
    saturation = np.asarray(spec.robot.adapter.saturation, np.float32)
    half = spec.extent + _MARGIN_M
    if task != "RoomNav":
        return SceneView(half, spec.goal_radius, saturation)
    room = (float(HALF_SIZE_M[0]), float(HALF_SIZE_M[1]))
    return SceneView(half, spec.goal_radius, saturation, room, ROOM_RADIUS_M)


def things(layout: dict[str, Any]) -> Iterator[Thing]:
    """Everything in a layout but agent and goals."""
    yield from _furniture(layout.get("furniture", {}))
    for key, value in layout.items():
        if key in ("agent", "goals") or key.endswith("_yaw") or not isinstance(value, list):
            continue
        points = np.asarray(value, np.float64)
        if points.ndim not in (1, 2) or points.shape[-1:] != (2,):
            continue  # not places, such as the order of buttons
        label, colour, size, box = _KINDS.get(key, (key.rstrip("s"), style.OTHER, 0.1, False))
        places = points.reshape(-1, 2)
        yaws = np.broadcast_to(np.asarray(layout.get(f"{key}_yaw", 0.0), np.float64), len(places))
        for (x, y), yaw in zip(places.tolist(), yaws.tolist(), strict=True):
            yield Thing(label, x, y, yaw, colour, (size, size), box)


def _furniture(kinds: dict[str, list[dict[str, Any]]]) -> Iterator[Thing]:
    """A room's pieces: a table is its top, which is above the robot, and its legs."""
    for kind, pieces in kinds.items():
        for piece in pieces:
            (x, y), yaw, size = piece["position"], float(piece.get("yaw", 0.0)), piece["size"]
            if kind == "cylinders":
                yield Thing("furniture", x, y, 0.0, style.FURNITURE, (size[0], size[0]))
                continue
            table = kind == "tables"
            label = "table top" if table else "furniture"
            whole = Thing(label, x, y, yaw, style.FURNITURE, (size[0], size[1]), True, table)
            yield whole
            if table:
                inner = (size[0] - _LEG_INSET_M, size[1] - _LEG_INSET_M)
                feet = Thing("", x, y, yaw, style.FURNITURE, inner, True).corners()
                leg = (_LEG_HALF_M, _LEG_HALF_M)
                for foot_x, foot_y in feet.tolist():
                    yield Thing("furniture", foot_x, foot_y, yaw, style.FURNITURE, leg, True)


def goal_ticks(log: EpisodeLog) -> NDArray[np.intp]:
    """Ticks at whose end a goal was reached: its bonus of 1 is far above a period's reward for progress."""
    return np.flatnonzero(log.reward > 0.7)


def plan_half_width(log: EpisodeLog, view: SceneView) -> float:
    """Half the side of a square around the origin that holds arena, objects and path, metres."""
    points = [log.position, np.asarray(log.layout.get("goals", []), np.float64).reshape(-1, 2)]
    points.append(np.array([(t.x, t.y) for t in things(log.layout)]).reshape(-1, 2))
    far = float(np.nanmax(np.abs(np.concatenate(points)), initial=0.0)) + 0.25
    if view.room_m is not None:
        return max(far, max(view.room_m) + _WALL_MARGIN_M)
    return max(far, view.half_width_m or 1.0)
