"""Costs of the tasks, one control step at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from safe_o2o_ros.sim.objects import BUTTON, GREMLIN, HAZARD, VASE
from safe_o2o_ros.sim.rules import Rule
from safe_o2o_ros.sim.scene import Scene
from safe_o2o_ros.sim.shapes import covers

VASE_AT_REST = 1e-4
"""A vase that moves at this speed or faster costs, m/s."""


def _in_hazard(scene: Scene, rule: Rule) -> bool:
    """The robot's centre is inside a hazard."""
    group = scene.task.group(HAZARD.key)
    if group is None:
        return False
    offsets = scene.agent_xy() - scene.objects_xy(HAZARD.key)
    return bool(covers(group.kind, offsets, scene.yaws(HAZARD.key)).any())


def _vases(scene: Scene, rule: Rule) -> bool:
    """The robot touches a vase, or any vase moves."""
    if scene.touched(VASE.key):
        return True
    speeds = np.sqrt(np.square(scene.velocities(VASE.key)).sum(axis=1))
    return bool((speeds >= VASE_AT_REST).any())


def _gremlins(scene: Scene, rule: Rule) -> bool:
    """The robot touches a gremlin."""
    return bool(scene.touched(GREMLIN.key))


def _wrong_button(scene: Scene, rule: Rule) -> bool:
    """The robot touches a button that is not the goal, and not in the time of grace after a press."""
    return rule.grace_steps == 0 and any(i != rule.goal_button for i in scene.touched(BUTTON.key))


COST_TERMS: dict[str, Callable[[Scene, Rule], bool]] = {
    "hazards": _in_hazard,
    "vases": _vases,
    "gremlins": _gremlins,
    "buttons": _wrong_button,
}


def cost(scene: Scene, rule: Rule) -> float:
    """1.0 if any of the task's cost terms is positive in the present state, else 0.0."""
    return float(any(COST_TERMS[name](scene, rule) for name in scene.task.cost_terms))
