"""Where everything stands at the start of an episode: reading, drawing and writing layouts.

A layout as JSON has `agent: [x, y, yaw]`, `goals: [[x, y], ...]`, one list of [x, y] per kind of
object, and optionally its yaws (`hazards_yaw: [...]`). World frame, metres and radians.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.errors import LayoutError
from safe_o2o_ros.sim.objects import ObjectKind
from safe_o2o_ros.sim.tasks import ObjectGroup, TaskSpec

XY = tuple[float, float]

_TRIES_PER_OBJECT = 100
_TRIES_PER_LAYOUT = 10_000


@dataclass(frozen=True)
class Layout:
    """A complete layout; `goals` holds at least the first goal and grows as goals are drawn."""

    agent: tuple[float, float, float]
    """x, y in m, yaw in rad."""
    goals: tuple[XY, ...]
    objects: dict[str, tuple[XY, ...]]
    """Positions per kind's key, in the task's order."""
    yaws: dict[str, tuple[float, ...]]

    def with_goal(self, goal: XY) -> Layout:
        """A copy with one more goal."""
        return replace(self, goals=(*self.goals, goal))

    def counts(self) -> dict[str, int]:
        """Number of objects per kind's key."""
        return {key: len(points) for key, points in self.objects.items()}

    def to_json(self, task: TaskSpec) -> dict[str, Any]:
        """The layout as JSON values; given back to `reset` it makes the same scene, bit for bit."""
        out: dict[str, Any] = {"agent": list(self.agent), "goals": [list(p) for p in self.goals]}
        for group in task.groups:
            key, single = group.kind.key, group.kind.single
            points = [list(p) for p in self.objects[key]]
            yaws = list(self.yaws[key])
            out[key] = points[0] if single else points
            out[f"{key}_yaw"] = yaws[0] if single else yaws
        return out


def make_layout(task: TaskSpec, given: Mapping[str, Any] | None, rng: np.random.Generator) -> Layout:
    """Complete a given layout by the task's placement rule.

    What is given is kept as it is, also where it breaks the keep-outs; what is missing is drawn.
    Raises LayoutError on unknown keys, wrong shapes, non-finite numbers, or no room.
    """
    given = {} if given is None else given
    _check_keys(task, given)
    agent = _numbers(given["agent"], (3,), "agent") if "agent" in given else None
    goals = _points(given.get("goals", []), "goals")
    objects = {g.kind.key: _given_points(given, g.kind) for g in task.groups}
    yaws = {g.kind.key: _given_yaws(given, g.kind) for g in task.groups}

    agent_xy, goal, drawn = _draw_missing(task, agent, goals, objects, rng)
    yaw = float(agent[2]) if agent is not None else _draw_yaw(rng)
    return Layout(
        agent=(*agent_xy, yaw),
        goals=goals or (goal,),
        objects=drawn,
        yaws={
            g.kind.key: _complete_yaws(g.kind, drawn[g.kind.key], yaws[g.kind.key], rng) for g in task.groups
        },
    )


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


def _check_keys(task: TaskSpec, given: Mapping[str, Any]) -> None:
    if not isinstance(given, Mapping):
        raise LayoutError(
            f"A layout must be a dictionary such as info['layout']; got {type(given).__name__}."
        )
    known = ["agent", "goals"]
    for group in task.groups:
        known += [group.kind.key, f"{group.kind.key}_yaw"]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise LayoutError(
            f"Layout of {task.name} has unknown keys {', '.join(map(repr, unknown))}; "
            f"use: {', '.join(known)}."
        )


def _numbers(value: Any, shape: tuple[int, ...], name: str) -> NDArray[np.float64]:
    """Finite float64 array of that shape; -1 in `shape` is any length."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise LayoutError(f"Layout entry {name!r} must hold only numbers; got {value!r}.") from error
    fits = array.ndim == len(shape) and all(w in (-1, n) for w, n in zip(shape, array.shape, strict=True))
    if not fits or not np.isfinite(array).all():
        wanted = "x".join("n" if n == -1 else str(n) for n in shape) or "one"
        raise LayoutError(f"Layout entry {name!r} must be {wanted} finite numbers; got {value!r}.")
    return array


def _points(value: Any, name: str) -> tuple[XY, ...]:
    if isinstance(value, list | tuple) and not value:
        return ()
    return tuple((float(x), float(y)) for x, y in _numbers(value, (-1, 2), name))


def _given_points(given: Mapping[str, Any], kind: ObjectKind) -> tuple[XY, ...] | None:
    if kind.key not in given:
        return None
    return _points([given[kind.key]] if kind.single else given[kind.key], kind.key)


def _given_yaws(given: Mapping[str, Any], kind: ObjectKind) -> tuple[float, ...] | None:
    key = f"{kind.key}_yaw"
    if key not in given:
        return None
    values = _numbers([given[key]] if kind.single else given[key], (-1,), key)
    return tuple(float(v) for v in values)


def _complete_yaws(
    kind: ObjectKind, points: tuple[XY, ...], yaws: tuple[float, ...] | None, rng: np.random.Generator
) -> tuple[float, ...]:
    if yaws is None:
        return tuple(_draw_yaw(rng) for _ in points)
    if len(yaws) != len(points):
        raise LayoutError(f"Layout has {len(points)} {kind.key} but {len(yaws)} yaws; give one yaw for each.")
    return yaws


def _draw_yaw(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.0, 2.0 * np.pi))


def _draw_missing(
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
    goal = goal or (draw(task.goal_keepout) if agent else None)
    if agent is None or goal is None:
        return None
    drawn: dict[str, tuple[XY, ...]] = {}
    for group in task.groups:
        points = objects[group.kind.key]
        points = _draw_group(group, draw) if points is None else points
        if points is None:
            return None
        drawn[group.kind.key] = points
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
