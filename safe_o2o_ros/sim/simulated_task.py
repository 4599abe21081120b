"""What all simulated tasks are on the outside: arguments, spaces, time, cameras, the view from above."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.sim.checks import IMAGE_SIZE, checked_arguments
from safe_o2o_ros.sim.render import Image, Renderer
from safe_o2o_ros.sim.tasks import TaskSpec, task_spec
from safe_o2o_ros.sim.variant_run import VariantRun
from safe_o2o_ros.sim.variant_scene import varied_task
from safe_o2o_ros.sim.variants import variant_spec

Observation = dict[str, Image]


class MujocoScene(Protocol):
    """A compiled scene and its state."""

    model: Any
    data: Any


SceneT = TypeVar("SceneT", bound=MujocoScene)


class SimulatedTask(gymnasium.Env[dict[str, Any], NDArray[np.float32]], Generic[SceneT]):
    """An environment with cameras, a robot adapter and a variant; `reset` and `step` are the task's own.

    Observation: camera name -> uint8 RGB image (64, 64, 3). Action: raw, [-1, 1]^A.
    """

    metadata = {"render_modes": ["rgb_array"]}

    def __init__(
        self,
        task: str,
        action_repeat: int | None = None,
        cameras: Sequence[str] = ("front", "back"),
        variant: str | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Make the environment; `action_repeat`: None = the task's own.

        Raises UsageError on an unknown task, variant, camera or bad repeat.
        """
        spec = task_spec(task)
        self.variant = variant_spec(variant, spec.name)
        self.task: TaskSpec = varied_task(spec, self.variant)
        self.action_repeat = spec.action_repeat if action_repeat is None else action_repeat
        self.cameras = checked_arguments(self.task, cameras, self.action_repeat, render_mode)
        self.render_mode = render_mode
        image = gymnasium.spaces.Box(0, 255, (IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
        self.observation_space = gymnasium.spaces.Dict(dict.fromkeys(self.cameras, image))
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (self.adapter.action_dim,), np.float32)
        self._run = VariantRun(self.variant)
        self._control_steps = 0
        self._scene: SceneT | None = None
        self._renderer: Renderer | None = None
        self._top: tuple[int, Renderer] | None = None

    @property
    def adapter(self) -> RobotAdapter:
        """Scaling and limits of the task's robot."""
        return self.task.robot.adapter

    @property
    def scene(self) -> SceneT:
        """The compiled scene of the running episode; raises UsageError before the first reset."""
        return self._running_scene()

    @property
    def period_s(self) -> float:
        """Time between observations, s."""
        return self.action_repeat * self.task.robot.control_step_s

    def render_top(self, size: int = 256) -> Image:
        """The scene from straight above, world x to the right, uint8 RGB, shape (size, size, 3)."""
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

    def _show(self, scene: SceneT) -> None:
        """Drive in a newly compiled scene: load it into the renderers."""
        self._scene = scene
        if self.cameras:
            if self._renderer is None:
                self._renderer = Renderer(IMAGE_SIZE)
            self._renderer.bind(scene.model)
        if self._top is not None:
            self._top[1].bind(scene.model)

    def _running_scene(self) -> SceneT:
        if self._scene is None:
            raise UsageError("No episode is running; call reset first.")
        return self._scene

    def _time_up(self) -> bool:
        return self._control_steps >= self.task.episode_steps

    def _time_s(self) -> float:
        return self._control_steps * self.task.robot.control_step_s

    def _observe(self) -> Observation:
        if self._renderer is None or self._scene is None:
            return {}
        images = {name: self._renderer.image(self._scene.data, name) for name in self.cameras}
        return {name: self._run.picture(name, image, self._time_s()) for name, image in images.items()}
