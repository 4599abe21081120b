"""A simulated task as a Gymnasium environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.sim.checks import IMAGE_SIZE, checked_action, checked_arguments, checked_options
from safe_o2o_ros.sim.costs import cost
from safe_o2o_ros.sim.hazard_motion import HazardMotion
from safe_o2o_ros.sim.layout import Layout, draw_button, draw_goal, make_layout
from safe_o2o_ros.sim.render import Image, Renderer
from safe_o2o_ros.sim.rules import make_rule
from safe_o2o_ros.sim.scene import Scene
from safe_o2o_ros.sim.state import PrivilegedState
from safe_o2o_ros.sim.tasks import TaskSpec, task_spec
from safe_o2o_ros.sim.truth import true_state
from safe_o2o_ros.sim.variant_run import VariantRun
from safe_o2o_ros.sim.variant_scene import paint, varied_task
from safe_o2o_ros.sim.variants import variant_spec

Observation = dict[str, Image]


class TaskEnv(gymnasium.Env[dict[str, Any], NDArray[np.float32]]):
    """One task. Observation: camera name -> uint8 RGB image (64, 64, 3). Action: raw, [-1, 1]^A.

    `reset(options={"layout": {...}})` sets where things stand; what it leaves out is drawn.
    `info` holds `cost` (sum over the repeats), `goal` ([x, y] of the current goal, m), `layout`,
    `goals` (reached so far) and `control_steps` (made so far).
    """

    metadata = {"render_modes": ["rgb_array"]}

    def __init__(
        self,
        task: str,
        action_repeat: int = 4,
        cameras: Sequence[str] = ("front", "back"),
        variant: str | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Make the environment; raises UsageError on an unknown task, variant, camera or bad repeat."""
        self.variant = variant_spec(variant, task_spec(task).name)
        self.task: TaskSpec = varied_task(task_spec(task), self.variant)
        self.cameras = checked_arguments(self.task, cameras, action_repeat, render_mode)
        self.action_repeat = action_repeat
        self.render_mode = render_mode
        image = gymnasium.spaces.Box(0, 255, (IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
        self.observation_space = gymnasium.spaces.Dict(dict.fromkeys(self.cameras, image))
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (self.adapter.action_dim,), np.float32)
        self._run = VariantRun(self.variant)
        self._hazards = HazardMotion(self.variant.circle)
        self._scene: Scene | None = None
        self._renderer: Renderer | None = None
        self._top: tuple[int, Renderer] | None = None

    @property
    def adapter(self) -> RobotAdapter:
        """Scaling and limits of the task's robot."""
        return self.task.robot.adapter

    @property
    def period_s(self) -> float:
        """Time between observations, s."""
        return self.action_repeat * self.task.robot.control_step_s

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode. Raises UsageError on unknown options, LayoutError on a bad layout."""
        super().reset(seed=seed)
        layout = make_layout(self.task, checked_options(options), self.np_random)
        if self._scene is None or self._scene.counts != layout.counts():
            self._load_scene(layout)
        assert self._scene is not None
        self._run.begin(self.np_random)
        self._scene.place(self._hazards.started(layout))
        self._rule = make_rule(self._scene, layout.goal_button(0))
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

    def render_top(self, size: int = 256) -> Image:
        """The arena from straight above, world x to the right, uint8 RGB, shape (size, size, 3)."""
        scene = self._running_scene()
        if self._top is None or self._top[0] != size:
            if self._top is not None:
                self._top[1].close()
            self._top = (size, Renderer(size))
            self._top[1].bind(scene.model)
        return self._top[1].image(scene.data, "top")

    def render(self) -> Image | None:
        """The top view in render mode "rgb_array", else None."""
        return self.render_top() if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Free the graphics contexts; a later reset opens them again."""
        if self._renderer is not None:
            self._renderer.close()
        if self._top is not None:
            self._top[1].close()
        self._scene = self._renderer = self._top = None

    def _load_scene(self, layout: Layout) -> None:
        """Compile the model for the layout's numbers of objects; needed only when they change."""
        self._scene = Scene(self.task, layout.counts())
        paint(self._scene.model, self.variant)
        if self.cameras:
            if self._renderer is None:
                self._renderer = Renderer(IMAGE_SIZE)
            self._renderer.bind(self._scene.model)
        if self._top is not None:
            self._top[1].bind(self._scene.model)

    def _running_scene(self) -> Scene:
        if self._scene is None:
            raise UsageError("No episode is running; call reset first.")
        return self._scene

    def _time_up(self) -> bool:
        return self._control_steps >= self.task.episode_steps

    def _time_s(self) -> float:
        return self._control_steps * self.task.robot.control_step_s

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

    def _observe(self) -> Observation:
        if self._renderer is None or self._scene is None:
            return {}
        images = {name: self._renderer.image(self._scene.data, name) for name in self.cameras}
        return {name: self._run.picture(name, image, self._time_s()) for name, image in images.items()}

    def _info(self, total_cost: float) -> dict[str, Any]:
        return {
            "cost": total_cost,
            "goal": list(self._layout.goals[self._goals]),
            "layout": self._layout.to_json(self.task),
            "goals": self._goals,
            "control_steps": self._control_steps,
        }
