"""Rewards and costs of the tasks, one control step at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from safe_o2o_ros.sim.objects import HAZARD
from safe_o2o_ros.sim.scene import Scene
from safe_o2o_ros.sim.tasks import REWARD_CLIP


class GoalRule:
    """Distance gained towards the goal, plus 1 on reaching it."""

    def __init__(self, scene: Scene) -> None:
        """Start measuring from the scene's present state."""
        self._scene = scene
        self._last = self._distance()

    def reward(self) -> tuple[float, bool]:
        """Reward of the control step just made, and whether the goal is reached."""
        distance = self._distance()
        reached = distance <= self._scene.task.goal_radius
        gained = self._last - distance
        self._last = distance
        return float(np.clip(gained + (1.0 if reached else 0.0), -REWARD_CLIP, REWARD_CLIP)), reached

    def goal_moved(self) -> None:
        """Measure from here to the new goal."""
        self._last = self._distance()

    def _distance(self) -> float:
        """Robot to goal in the plane, m."""
        dx, dy = self._scene.agent_xy() - self._scene.goal_xy()
        return float(np.sqrt(dx * dx + dy * dy))


def _in_hazard(scene: Scene) -> bool:
    """The robot's centre is inside a hazard's disc."""
    offsets = scene.objects_xy(HAZARD.key) - scene.agent_xy()
    return bool((np.square(offsets).sum(axis=1) < HAZARD.size[0] ** 2).any())


COST_TERMS: dict[str, Callable[[Scene], bool]] = {"hazards": _in_hazard}


def cost(scene: Scene) -> float:
    """1.0 if any of the task's cost terms is positive in the present state, else 0.0."""
    return float(any(COST_TERMS[name](scene) for name in scene.task.cost_terms))
