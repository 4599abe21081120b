"""A task of the published benchmark as a Gymnasium environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.sim.checks import checked_action, checked_options
from safe_o2o_ros.sim.costs import cost
from safe_o2o_ros.sim.hazard_motion import HazardMotion
from safe_o2o_ros.sim.layout import Layout, draw_button, draw_goal, make_layout
from safe_o2o_ros.sim.rules import make_rule
from safe_o2o_ros.sim.scene import Scene
from safe_o2o_ros.sim.simulated_task import Observation, SimulatedTask
from safe_o2o_ros.sim.state import PrivilegedState
from safe_o2o_ros.sim.truth import true_state
from safe_o2o_ros.sim.variant_scene import paint


class TaskEnv(SimulatedTask[Scene]):
    """One task of the published benchmark. Observation and action: see SimulatedTask.

    `reset(options={"layout": {...}})` sets where things stand; what it leaves out is drawn.
    `info` holds `cost` (sum over the repeats), `goal` ([x, y] of the current goal, m), `layout`,
    `goals` (reached so far) and `control_steps` (made so far).
    """

    def __init__(
        self,
        task: str,
        action_repeat: int | None = None,
        cameras: Sequence[str] = ("front", "back"),
        variant: str | None = None,
        render_mode: str | None = None,
    ) -> None:
        """See SimulatedTask."""
        super().__init__(task, action_repeat, cameras, variant, render_mode)
        self._hazards = HazardMotion(self.variant.circle)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode. Raises UsageError on unknown options, LayoutError on a bad layout."""
        super().reset(seed=seed)
        layout = make_layout(self.task, checked_options(options), self.np_random)
        scene = self._scene
        if scene is None or scene.counts != layout.counts():
            scene = Scene(self.task, layout.counts())
            paint(scene.model, self.variant)
            self._show(scene)
        self._run.begin(self.np_random)
        scene.place(self._hazards.started(layout))
        self._rule = make_rule(scene, layout.goal_button(0))
        self._layout = layout
        self._goals = self._control_steps = 0
        return self._observe(), self._info(0.0)

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        """Hold the action for `action_repeat` control steps, or until the time is up.

        Raises NonFiniteError on NaN or infinity; values outside [-1, 1] are clipped.
        """
        scene = self._running_scene()
        if self._time_up():
            raise UsageError("The episode is over; call reset.")
        command = self._run.delayed(checked_action(action, self.adapter.action_dim))
        reward = total_cost = 0.0
        for _ in range(self.action_repeat):
            self._control_steps += 1
            self._hazards.lead(scene, self._time_s())
            scene.step(command)
            gained, reached = self._rule.reward()
            reward += gained
            total_cost += cost(scene, self._rule)
            self._rule.tick()
            if reached:
                self._next_goal(scene)
            if self._time_up():
                break
        return self._observe(), reward, False, self._time_up(), self._info(total_cost)

    def privileged_state(self) -> PrivilegedState:
        """The true state at this moment."""
        return self._hazards.told(true_state(self._running_scene(), self._rule), self._time_s())

    def _next_goal(self, scene: Scene) -> None:
        """The layout's next goal; when they are used up, a drawn one, which the layout then lists too."""
        self._goals += 1
        if self._goals >= len(self._layout.goals):
            self._layout = self._with_drawn_goal(scene)
        scene.set_goal(self._layout.goals[self._goals])
        self._rule.goal_moved(self._layout.goal_button(self._goals))

    def _with_drawn_goal(self, scene: Scene) -> Layout:
        if self.task.rule == "button":
            return self._layout.with_button(draw_button(self._layout, self.np_random))
        objects = {g.kind.key: scene.objects_xy(g.kind.key) for g in self.task.groups}
        return self._layout.with_goal(draw_goal(self.task, scene.agent_xy(), objects, self.np_random))

    def _info(self, total_cost: float) -> dict[str, Any]:
        return {
            "cost": total_cost,
            "goal": list(self._layout.goals[self._goals]),
            "layout": self._layout.to_json(self.task),
            "goals": self._goals,
            "control_steps": self._control_steps,
        }
