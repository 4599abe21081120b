"""Table of the simulated tasks: what stands where, and what counts.

Numbers are those of the published benchmark (Safety-Gymnasium 1.0), but for RoomNav. Lengths in metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.sim.objects import (
    BOX,
    BUTTON,
    GOAL,
    GOAL_BUTTON,
    GREMLIN,
    HAZARD,
    PILLAR,
    VASE,
    WIDE_HAZARD,
    ObjectKind,
)
from safe_o2o_ros.sim.robots import CAR_ROBOT, POINT_ROBOT, ROOM_ROBOT, RobotSpec
from safe_o2o_ros.sim.variants import DEFAULT_VARIANT, VARIANTS, Variant, variant_spec

__all__ = [
    "DEFAULT_VARIANT",
    "REWARD_CLIP",
    "TASKS",
    "VARIANTS",
    "ObjectGroup",
    "TaskSpec",
    "Variant",
    "env_id",
    "task_spec",
    "variant_spec",
]

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
    """Names in costs.COST_TERMS; the cost is 1 where any is positive."""
    goal: ObjectKind = GOAL
    """How the goal looks; its radius is `goal_radius`."""
    rule: Literal["goal", "button", "push"] = "goal"
    """What is rewarded: reaching a place, pressing a button, pushing the box to a place."""
    episode_steps: int = 1000
    """Control steps until truncation."""
    action_repeat: int = 4
    """Control steps in a control period, unless told otherwise."""
    entry_point: str = "safe_o2o_ros.sim.env:TaskEnv"
    """The environment's class."""

    def group(self, key: str) -> ObjectGroup | None:
        """The objects under that key of a layout; None if the task has none."""
        return next((group for group in self.groups if group.kind.key == key), None)


def _goal2(name: str, robot: RobotSpec) -> TaskSpec:
    return TaskSpec(
        name=name,
        robot=robot,
        extent=2.0,
        goal_radius=0.3,
        goal_keepout=0.305,
        groups=(ObjectGroup(HAZARD, 10, 0.18), ObjectGroup(VASE, 10, 0.15)),
        cost_terms=("hazards", "vases"),
    )


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
    "PointButton1": TaskSpec(
        name="PointButton1",
        robot=POINT_ROBOT,
        extent=1.5,
        # The marker's, and where the Point's ball touches the button.
        goal_radius=0.2,
        goal_keepout=0.4,
        groups=(
            ObjectGroup(BUTTON, 4, 0.2),
            ObjectGroup(HAZARD, 4, 0.18),
            ObjectGroup(GREMLIN, 4, 0.4),
        ),
        cost_terms=("hazards", "buttons", "gremlins"),
        goal=GOAL_BUTTON,
        rule="button",
    ),
    "PointPush1": TaskSpec(
        name="PointPush1",
        robot=POINT_ROBOT,
        extent=1.5,
        goal_radius=0.3,
        goal_keepout=0.4,
        groups=(ObjectGroup(WIDE_HAZARD, 2, 0.4), ObjectGroup(PILLAR, 1, 0.4), ObjectGroup(BOX, 1, 0.2)),
        cost_terms=("hazards",),
        rule="push",
    ),
    "PointGoal2": _goal2("PointGoal2", POINT_ROBOT),
    "CarGoal2": _goal2("CarGoal2", CAR_ROBOT),
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


def env_id(task: str) -> str:
    """Gymnasium id of a task, e.g. "safe_o2o/PointGoal1-v0"."""
    return f"safe_o2o/{task}-v0"


def task_spec(name: str) -> TaskSpec:
    """The task of that name. Raises UsageError naming the known ones."""
    if name not in TASKS:
        raise UsageError(f"Task {name!r} is unknown; use one of: {', '.join(TASKS)}.")
    return TASKS[name]
