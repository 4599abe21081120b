"""What is rewarded in the tasks, one control step at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from safe_o2o_ros.sim.objects import BOX, BUTTON
from safe_o2o_ros.sim.scene import FloatArray, Scene
from safe_o2o_ros.sim.tasks import REWARD_CLIP

GRACE_STEPS = 10
"""Control steps after a press, and after the reset, in which wrong buttons cost nothing."""


class Rule(ABC):
    """Distance gained, plus 1 when the goal is reached."""

    goal_button = -1
    """Index of the button to press; -1 where buttons are not the goal."""
    grace_steps = 0
    """Control steps in which wrong buttons still cost nothing."""

    def __init__(self, scene: Scene) -> None:
        """Start measuring from the scene's present state."""
        self._scene = scene
        self._last = self._distances()

    def reward(self) -> tuple[float, bool]:
        """Reward of the control step just made, and whether the goal is reached."""
        distances = self._distances()
        reached = self._reached(distances)
        gained = sum(last - now for last, now in zip(self._last, distances, strict=True))
        self._last = distances
        return float(np.clip(gained + (1.0 if reached else 0.0), -REWARD_CLIP, REWARD_CLIP)), reached

    def tick(self) -> None:
        """Count a control step, after its reward and its cost."""
        self.grace_steps = max(0, self.grace_steps - 1)

    def goal_moved(self, button: int) -> None:
        """Measure from here to the new goal; `button`: its index, -1 where it is none."""
        self.goal_button = button
        self._last = self._distances()

    @abstractmethod
    def _distances(self) -> tuple[float, ...]:
        """Distances whose decrease is rewarded, m."""

    @abstractmethod
    def _reached(self, distances: tuple[float, ...]) -> bool:
        """Whether the goal is reached at these distances."""


class GoalRule(Rule):
    """Drive to the goal."""

    def _distances(self) -> tuple[float, ...]:
        return (_length(self._scene.agent_xy() - self._scene.goal_xy()),)

    def _reached(self, distances: tuple[float, ...]) -> bool:
        return distances[0] <= self._scene.task.goal_radius


class ButtonRule(GoalRule):
    """Touch the goal button."""

    def goal_moved(self, button: int) -> None:
        """Measure from here to the new goal button; wrong presses are free for a while."""
        super().goal_moved(button)
        self.grace_steps = GRACE_STEPS

    def _reached(self, distances: tuple[float, ...]) -> bool:
        return self.goal_button in self._scene.touched(BUTTON.key)


class PushRule(Rule):
    """Go to the box and push it to the goal; distances between centres in space, as in the benchmark."""

    def _distances(self) -> tuple[float, ...]:
        box = self._scene.positions(BOX.key)[0]
        return (
            _length(box - self._scene.agent_position()),
            _length(box - self._scene.goal_position()),
        )

    def _reached(self, distances: tuple[float, ...]) -> bool:
        return distances[1] <= self._scene.task.goal_radius


_RULES: dict[str, type[Rule]] = {"goal": GoalRule, "button": ButtonRule, "push": PushRule}


def make_rule(scene: Scene, button: int) -> Rule:
    """The rule of the scene's task at the start of an episode; `button`: the first goal button, or -1."""
    rule = _RULES[scene.task.rule](scene)
    rule.goal_moved(button)
    return rule


def _length(offset: FloatArray) -> float:
    return float(np.sqrt(np.square(offset).sum()))
