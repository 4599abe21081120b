"""Table of the simulated tasks and their variants: what stands where, and what counts.

Numbers are those of the published benchmark (Safety-Gymnasium 1.0), but for RoomNav. Lengths in metres.
"""

from __future__ import annotations

from dataclasses import dataclass

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.sim.objects import HAZARD, VASE, ObjectKind
from safe_o2o_ros.sim.robots import POINT_ROBOT, ROOM_ROBOT, RobotSpec

REWARD_CLIP = 10.0
"""Bound on the reward of one control step."""


@dataclass(frozen=True)
class ObjectGroup:
    """The objects of one kind in a task."""

    kind: ObjectKind
    count: int
    keepout: float
    """Keep-out radius for placement, m."""


@dataclass(frozen=True)
class TaskSpec:
    """One task: robot, arena, objects, goal, costs."""

    name: str
    robot: RobotSpec
    extent: float
    """Objects are placed in [-extent, extent]^2, m."""
    goal_radius: float
    goal_keepout: float
    groups: tuple[ObjectGroup, ...]
    """In the order of placement, after robot and goal."""
    cost_terms: tuple[str, ...]
    """Names in rules.COST_TERMS; the cost is 1 where any is positive."""
    episode_steps: int = 1000
    """Control steps until truncation."""
    action_repeat: int = 4
    """Control steps in a control period, unless told otherwise."""
    entry_point: str = "safe_o2o_ros.sim.env:TaskEnv"
    """The environment's class."""


@dataclass(frozen=True)
class Variant:
    """A named change to a task. `default` changes nothing."""

    name: str
    description: str


TASKS: dict[str, TaskSpec] = {
    "PointGoal1": TaskSpec(
        name="PointGoal1",
        robot=POINT_ROBOT,
        extent=1.5,
        goal_radius=0.3,
        goal_keepout=0.305,
        groups=(ObjectGroup(HAZARD, 8, 0.18), ObjectGroup(VASE, 1, 0.15)),
        cost_terms=("hazards",),
    ),
    "RoomNav": TaskSpec(
        name="RoomNav",
        robot=ROOM_ROBOT,
        extent=2.5,
        goal_radius=0.4,
        goal_keepout=0.35,
        # What stands in a room, and its costs: sim/room/.
        groups=(),
        cost_terms=(),
        episode_steps=600,
        action_repeat=1,
        entry_point="safe_o2o_ros.sim.room.env:RoomEnv",
    ),
}

DEFAULT_VARIANT = "default"
VARIANTS: dict[str, Variant] = {
    DEFAULT_VARIANT: Variant(DEFAULT_VARIANT, "the task as published"),
}


def env_id(task: str) -> str:
    """Gymnasium id of a task, e.g. "safe_o2o/PointGoal1-v0"."""
    return f"safe_o2o/{task}-v0"


def task_spec(name: str) -> TaskSpec:
    """The task of that name. Raises UsageError naming the known ones."""
    if name not in TASKS:
        raise UsageError(f"Task {name!r} is unknown; use one of: {', '.join(TASKS)}.")
    return TASKS[name]


def variant_spec(name: str | None) -> Variant:
    """The variant of that name, None = default. Raises UsageError naming the known ones."""
    key = DEFAULT_VARIANT if name is None else name
    if key not in VARIANTS:
        raise UsageError(f"Variant {name!r} is unknown; use one of: {', '.join(VARIANTS)}.")
    return VARIANTS[key]
