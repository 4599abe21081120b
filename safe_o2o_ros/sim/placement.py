"""The placement rule: where what a layout leaves out is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.errors import LayoutError
from safe_o2o_ros.sim.tasks import ObjectGroup, TaskSpec

XY = tuple[float, float]

_TRIES_PER_OBJECT = 100
_TRIES_PER_LAYOUT = 10_000


def draw_yaw(rng: np.random.Generator) -> float:
    """A heading, uniform in [0, 2 pi), rad."""
    return float(rng.uniform(0.0, 2.0 * np.pi))


def draw_goal(
    task: TaskSpec,
    agent: NDArray[np.float64],
    objects: Mapping[str, NDArray[np.float64]],
    rng: np.random.Generator,
) -> XY:
    """A further goal, by the rule used at reset.

    `agent` (2,), `objects` kind -> (n, 2): where they are *now*, m. As in the benchmark, a goal never
    appears on a robot or a vase that has moved since the reset.
    """
    others: list[tuple[XY, float]] = [((float(agent[0]), float(agent[1])), task.robot.keepout)]
    for group in task.groups:
        others += [((float(x), float(y)), group.keepout) for x, y in objects[group.kind.key]]
    goal = _draw_point(task.extent, task.goal_keepout, others, rng, _TRIES_PER_LAYOUT)
    if goal is None:
        raise LayoutError("No room is left for a new goal; give fewer or other objects in the layout.")
    return goal


def draw_missing(
    task: TaskSpec,
    agent: NDArray[np.float64] | None,
    goals: tuple[XY, ...],
    objects: dict[str, tuple[XY, ...] | None],
    rng: np.random.Generator,
) -> tuple[XY, XY, dict[str, tuple[XY, ...]]]:
    """Robot, first goal and objects; a draw that runs into a dead end is started afresh."""
    agent_xy = None if agent is None else (float(agent[0]), float(agent[1]))
    goal = goals[0] if goals else None
    fixed = [] if agent_xy is None else [(agent_xy, task.robot.keepout)]
    fixed += [] if goal is None else [(goal, task.goal_keepout)]
    for group in task.groups:
        fixed += [(p, group.keepout) for p in objects[group.kind.key] or ()]
    for _ in range(_TRIES_PER_LAYOUT):
        placed = _draw_once(task, agent_xy, goal, objects, list(fixed), rng)
        if placed is not None:
            return placed
    raise LayoutError(
        f"No room to place the objects of {task.name}; move or remove some that the layout gives."
    )


def _draw_once(
    task: TaskSpec,
    agent: XY | None,
    goal: XY | None,
    objects: dict[str, tuple[XY, ...] | None],
    others: list[tuple[XY, float]],
    rng: np.random.Generator,
) -> tuple[XY, XY, dict[str, tuple[XY, ...]]] | None:
    def draw(keepout: float) -> XY | None:
        point = _draw_point(task.extent, keepout, others, rng, _TRIES_PER_OBJECT)
        if point is not None:
            others.append((point, keepout))
        return point

    agent = agent or draw(task.robot.keepout)
    drawn: dict[str, tuple[XY, ...]] = {}

    def place(groups: tuple[ObjectGroup, ...]) -> bool:
        for group in groups:
            points = objects[group.kind.key]
            points = _draw_group(group, draw) if points is None else points
            if points is None:
                return False
            drawn[group.kind.key] = points
        return True

    # Among buttons the goal's place is taken after theirs; the marker goes to a button later, but the other
    # objects keep clear of that place, as in the benchmark.
    first = 1 if task.rule == "button" else 0
    if agent is None or not place(task.groups[:first]):
        return None
    unused = first > 0 and all(objects[group.kind.key] is not None for group in task.groups[first:])
    goal = goal or (agent if unused else draw(task.goal_keepout))
    if goal is None or not place(task.groups[first:]):
        return None
    return agent, goal, drawn


def _draw_group(group: ObjectGroup, draw: Callable[[float], XY | None]) -> tuple[XY, ...] | None:
    points: list[XY] = []
    for _ in range(group.count):
        point = draw(group.keepout)
        if point is None:
            return None
        points.append(point)
    return tuple(points)


def _draw_point(
    extent: float, keepout: float, others: list[tuple[XY, float]], rng: np.random.Generator, tries: int
) -> XY | None:
    """Uniform in the extents shrunk by the keep-out, no nearer to another than both keep-outs; or None."""
    limit = extent - keepout
    for _ in range(tries):
        x, y = (float(v) for v in rng.uniform(-limit, limit, 2))
        if all((x - ox) ** 2 + (y - oy) ** 2 >= (keepout + k) ** 2 for (ox, oy), k in others):
            return x, y
    return None
