"""Where everything stands at the start of an episode: reading, drawing and writing layouts.

A layout as JSON has `agent: [x, y, yaw]`, `goals: [[x, y], ...]`, one list of [x, y] per kind of
object, and optionally its yaws (`hazards_yaw: [...]`). World frame, metres and radians. Where buttons are
the goals, `goal_buttons: [index, ...]` stands in place of `goals`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.errors import LayoutError
from safe_o2o_ros.sim.objects import BUTTON, ObjectKind
from safe_o2o_ros.sim.placement import XY, draw_goal, draw_missing, draw_yaw
from safe_o2o_ros.sim.tasks import TaskSpec

__all__ = ["XY", "Layout", "draw_button", "draw_goal", "make_layout"]


@dataclass(frozen=True)
class Layout:
    """A complete layout; `goals` holds at least the first goal and grows as goals are drawn."""

    agent: tuple[float, float, float]
    """x, y in m, yaw in rad."""
    goals: tuple[XY, ...]
    objects: dict[str, tuple[XY, ...]]
    """Positions per kind's key, in the task's order."""
    yaws: dict[str, tuple[float, ...]]
    goal_buttons: tuple[int, ...] = ()
    """Index of the button at each of the goals; empty where buttons are not the goal."""

    def with_goal(self, goal: XY) -> Layout:
        """A copy with one more goal."""
        return replace(self, goals=(*self.goals, goal))

    def with_button(self, button: int) -> Layout:
        """A copy whose next goal is that button."""
        goal = self.objects[BUTTON.key][button]
        return replace(self, goals=(*self.goals, goal), goal_buttons=(*self.goal_buttons, button))

    def goal_button(self, index: int) -> int:
        """Index of the button at the index-th goal; -1 where buttons are not the goal."""
        return self.goal_buttons[index] if self.goal_buttons else -1

    def counts(self) -> dict[str, int]:
        """Number of objects per kind's key."""
        return {key: len(points) for key, points in self.objects.items()}

    def to_json(self, task: TaskSpec) -> dict[str, Any]:
        """The layout as JSON values; given back to `reset` it makes the same scene, bit for bit."""
        out: dict[str, Any] = {"agent": list(self.agent)}
        if task.rule == "button":
            out["goal_buttons"] = list(self.goal_buttons)
        else:
            out["goals"] = [list(p) for p in self.goals]
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

    agent_xy, goal, drawn = draw_missing(task, agent, goals, objects, rng)
    yaw = float(agent[2]) if agent is not None else draw_yaw(rng)
    layout = Layout(
        agent=(*agent_xy, yaw),
        goals=goals or (goal,),
        objects=drawn,
        yaws={
            g.kind.key: _complete_yaws(g.kind, drawn[g.kind.key], yaws[g.kind.key], rng) for g in task.groups
        },
    )
    return layout if task.rule != "button" else _with_buttons(layout, given.get("goal_buttons", []), rng)


def draw_button(layout: Layout, rng: np.random.Generator) -> int:
    """The next goal button: any of them, also the last one again."""
    return int(rng.integers(len(layout.objects[BUTTON.key])))


def _with_buttons(layout: Layout, given: Any, rng: np.random.Generator) -> Layout:
    """The layout with the given goal buttons, or a drawn first one, as its goals."""
    count = len(layout.objects[BUTTON.key])
    if count == 0:
        raise LayoutError("Layout entry 'buttons' is empty; give at least one button to press.")
    layout = replace(layout, goals=())
    for button in _indices(given, count) or (draw_button(layout, rng),):
        layout = layout.with_button(button)
    return layout


def _indices(value: Any, count: int) -> tuple[int, ...]:
    numbers = _numbers(value, (-1,), "goal_buttons").tolist()
    if any(v != int(v) or not 0 <= v < count for v in numbers):
        raise LayoutError(
            f"Layout entry 'goal_buttons' must hold indices from 0 to {count - 1}; got {value!r}."
        )
    return tuple(int(v) for v in numbers)


def _check_keys(task: TaskSpec, given: Mapping[str, Any]) -> None:
    if not isinstance(given, Mapping):
        raise LayoutError(
            f"A layout must be a dictionary such as info['layout']; got {type(given).__name__}."
        )
    known = ["agent", "goal_buttons" if task.rule == "button" else "goals"]
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
        return tuple(draw_yaw(rng) for _ in points)
    if len(yaws) != len(points):
        raise LayoutError(f"Layout has {len(points)} {kind.key} but {len(yaws)} yaws; give one yaw for each.")
    return yaws
