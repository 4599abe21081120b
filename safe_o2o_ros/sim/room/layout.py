"""Where everything stands in a RoomNav episode: reading, drawing and writing layouts.

A layout as JSON has `agent: [x, y, yaw]`, `goals: [[x, y]]`, `furniture: {boxes|cylinders|tables: [...]}`,
`walls` and `floor` (pieces.py says what these hold). Metres and radians, origin in the middle of the room.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from safe_o2o_ros.errors import LayoutError
from safe_o2o_ros.sim.robots import ROOM_RADIUS_M, ROOM_ROBOT
from safe_o2o_ros.sim.room.draw import USUAL, Furnishing, draw_finish, draw_furniture
from safe_o2o_ros.sim.room.geodesic import CELL_M, PathMap
from safe_o2o_ros.sim.room.geometry import Footprint, Shapes
from safe_o2o_ros.sim.room.pieces import Finish, Piece, furniture_json, numbers, read_finish, read_furniture
from safe_o2o_ros.sim.room.sight import goal_in_sight
from safe_o2o_ros.sim.room.state import FloatArray, Obstacle

HALF_SIZE_M: FloatArray = np.array([2.5, 2.0])
"""Half the room's length and width."""
GOAL_RADIUS_M, GOAL_HEIGHT_M = 0.15, 0.5
HIDDEN_SHARE = 0.7
"""Of the drawn episodes, those that start with the goal in no camera's picture."""

PATH_MARGIN_M = ROOM_RADIUS_M + 0.03
"""The robot's centre keeps this from everything on a shortest free path: no contact and no cost."""
_TIGHT_M = ROOM_RADIUS_M - 0.05
"""Less than the robot's centre ever keeps, by a cell: a gap it just fits through has cells in it."""
_COMFORT_M = ROOM_RADIUS_M + 0.08
_START_M = ROOM_RADIUS_M + 0.15
_GOAL_M = GOAL_RADIUS_M + 0.2
_APART_M = 1.2
"""Start and goal are at least this far apart."""
_TRIES = 200
_STARTS, _GOALS = 40, 6
"""Drawn per try: places for a start, and for a goal."""

_KEYS = ("agent", "goals", "furniture", "walls", "floor")
XY = tuple[float, float]


@dataclass(frozen=True)
class RoomLayout:
    """A complete layout."""

    agent: tuple[float, float, float]
    """x, y in m, yaw in rad."""
    goal: XY
    pieces: tuple[Piece, ...]
    walls: Finish
    floor: Finish

    def obstacles(self) -> tuple[Obstacle, ...]:
        """All the shapes its furniture is made of."""
        return _solids(self.pieces)

    def to_json(self) -> dict[str, Any]:
        """The layout as JSON values; given back to `reset` it makes the same scene, bit for bit."""
        return {
            "agent": list(self.agent),
            "goals": [list(self.goal)],
            "furniture": furniture_json(self.pieces),
            "walls": self.walls.to_json(),
            "floor": self.floor.to_json(),
        }


def make_layout(
    given: Mapping[str, Any] | None, rng: np.random.Generator, furnishing: Furnishing = USUAL
) -> tuple[RoomLayout, PathMap]:
    """Complete a given layout, and map the paths to its goal.

    What is given is kept as it is; what is missing is drawn so that a path of comfortable width leads from
    start to goal. Raises LayoutError on unknown keys, impossible values, a start or goal inside
    something, no path, or no room for what is missing.
    """
    given = _checked(given)
    agent = numbers(given["agent"], 3, "agent") if "agent" in given else None
    goal = _goal(given["goals"]) if "goals" in given else None
    pieces = read_furniture(given["furniture"]) if "furniture" in given else None
    walls = read_finish(given["walls"], "walls") if "walls" in given else draw_finish(rng, bright=True)
    floor = read_finish(given["floor"], "floor") if "floor" in given else draw_finish(rng, bright=False)
    start, target, pieces = _completed(agent, goal, pieces, rng, furnishing)
    layout = RoomLayout(start, target, pieces, walls, floor)
    return layout, _path_map(layout)


def sees_goal(
    obstacles: tuple[Obstacle, ...] | Shapes, pose: tuple[float, float, float], goal: XY | FloatArray
) -> bool:
    """Whether the front or the back camera of a robot at `pose` (x, y, yaw) sees the goal."""
    shapes = obstacles if isinstance(obstacles, Shapes) else Shapes(obstacles)
    cameras = ROOM_ROBOT.cameras.values()
    return goal_in_sight(cameras, shapes, pose, np.asarray(goal), GOAL_RADIUS_M, GOAL_HEIGHT_M)


def _solids(pieces: tuple[Piece, ...]) -> tuple[Obstacle, ...]:
    return tuple(part for piece in pieces for part in piece.solids())


def _checked(given: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise LayoutError(
            f"A layout must be a dictionary such as info['layout']; got {type(given).__name__}."
        )
    unknown = sorted(map(repr, set(given) - set(_KEYS)))
    if unknown:
        raise LayoutError(
            f"Layout of RoomNav has unknown keys {', '.join(unknown)}; use: {', '.join(_KEYS)}."
        )
    return given


def _goal(given: Any) -> XY:
    if not isinstance(given, list | tuple) or len(given) != 1:
        raise LayoutError(f"Layout entry goals must be one place, [[x, y]]; got {given!r}.")
    x, y = numbers(given[0], 2, "goals[0]")
    return x, y


def _path_map(layout: RoomLayout) -> PathMap:
    """Path lengths to the goal; raises LayoutError on a blocked start or goal, or without a path."""
    footprint = Footprint(layout.obstacles(), HALF_SIZE_M)
    start, goal = footprint.distance(np.array([layout.agent[:2], layout.goal]))
    if start < ROOM_RADIUS_M:
        raise LayoutError(
            f"Layout entry agent is {start:.3f} m from the nearest thing; give it at least {ROOM_RADIUS_M} m."
        )
    if goal < PATH_MARGIN_M + CELL_M:
        raise LayoutError(
            f"Layout entry goals is {goal:.3f} m from the nearest thing; give it at least "
            f"{PATH_MARGIN_M + CELL_M:g} m."
        )
    paths = PathMap(footprint.distance, HALF_SIZE_M, np.asarray(layout.goal), PATH_MARGIN_M, _TIGHT_M)
    if not paths.reaches(np.asarray(layout.agent[:2])):
        raise LayoutError("No free path leads from the layout's start to its goal; move or remove furniture.")
    return paths


def _completed(
    agent: tuple[float, ...] | None,
    goal: XY | None,
    pieces: tuple[Piece, ...] | None,
    rng: np.random.Generator,
    furnishing: Furnishing,
) -> tuple[tuple[float, float, float], XY, tuple[Piece, ...]]:
    """Start, goal and furniture with what was not given drawn."""
    pose = None if agent is None else (agent[0], agent[1], agent[2])
    if pose is not None and goal is not None and pieces is not None:
        return pose, goal, pieces
    hidden = bool(rng.random() < HIDDEN_SHARE)
    for _ in range(_TRIES):
        drawn = draw_furniture(rng, HALF_SIZE_M, furnishing) if pieces is None else pieces
        found = _places(pose, goal, drawn, hidden, rng)
        if found is not None:
            return (*found, drawn)
    # What is given may leave no hidden start, or only hidden ones.
    for _ in range(_TRIES):
        drawn = draw_furniture(rng, HALF_SIZE_M, furnishing) if pieces is None else pieces
        found = _places(pose, goal, drawn, None, rng)
        if found is not None:
            return (*found, drawn)
    raise LayoutError("No room is left for start and goal; move or remove some of the layout's furniture.")


def _places(
    pose: tuple[float, float, float] | None,
    goal: XY | None,
    pieces: tuple[Piece, ...],
    hidden: bool | None,
    rng: np.random.Generator,
) -> tuple[tuple[float, float, float], XY] | None:
    """Start and goal in a room, joined by a wide path and hidden from each other or not as asked; or None."""
    solids = _solids(pieces)
    footprint, shapes = Footprint(solids, HALF_SIZE_M), Shapes(solids)
    starts = rng.uniform(-HALF_SIZE_M, HALF_SIZE_M, (_STARTS, 2))
    yaws = rng.uniform(-np.pi, np.pi, _STARTS)
    goals = rng.uniform(-HALF_SIZE_M, HALF_SIZE_M, (_GOALS, 2))
    if pose is not None:
        starts, yaws = np.array([pose[:2]]), np.array([pose[2]])
    else:
        wide = footprint.distance(starts) >= _START_M
        starts, yaws = starts[wide], yaws[wide]
    goals = goals[footprint.distance(goals) >= _GOAL_M] if goal is None else np.array([goal])
    region = _regions(footprint)
    for target in goals:
        far = np.hypot(*(starts - target).T) >= _APART_M
        joined = region(starts) == region(target[None])
        for start, yaw in zip(starts[far & joined], yaws[far & joined], strict=True):
            at = (float(start[0]), float(start[1]), float(yaw))
            if hidden is None or sees_goal(shapes, at, target) != hidden:
                return at, (float(target[0]), float(target[1]))
    return None


def _regions(footprint: Footprint) -> Any:
    """A function from points (N, 2) to the number of the connected wide space they are in, (N,); 0 = none."""
    import cv2

    columns, rows = np.round(2 * HALF_SIZE_M / CELL_M).astype(int)
    x, y = (CELL_M * (np.arange(n) - (n - 1) / 2) for n in (columns, rows))
    cells = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    # Between neighbouring cells the distance falls by half a cell at most.
    wide = footprint.distance(cells) >= _COMFORT_M + CELL_M / 2
    labels = cv2.connectedComponents(wide.reshape(rows, columns).astype(np.uint8), connectivity=4)[1]

    def region(points: FloatArray) -> Any:
        index = ((points + HALF_SIZE_M) / CELL_M).astype(int)
        index = np.clip(index, 0, [columns - 1, rows - 1])
        found = labels[index[:, 1], index[:, 0]]
        return np.where(found > 0, found, -np.arange(1, len(found) + 1))

    return region
