"""RoomNav as a Gymnasium environment, with the same outside as the benchmark's tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.sim.checks import IMAGE_SIZE, checked_action, checked_arguments, checked_options
from safe_o2o_ros.sim.render import Image, Renderer
from safe_o2o_ros.sim.robots import ROOM_RADIUS_M
from safe_o2o_ros.sim.room.geometry import Footprint
from safe_o2o_ros.sim.room.layout import HALF_SIZE_M, make_layout
from safe_o2o_ros.sim.room.scene import RoomScene
from safe_o2o_ros.sim.room.state import RoomState
from safe_o2o_ros.sim.room.varied import furnishing_of, restyle
from safe_o2o_ros.sim.tasks import TaskSpec, task_spec
from safe_o2o_ros.sim.variant_run import VariantRun
from safe_o2o_ros.sim.variant_scene import varied_task
from safe_o2o_ros.sim.variants import variant_spec

SUCCESS_REWARD = 10.0
COST_CLEARANCE_M = 0.02
"""Nearer than this to anything costs."""

Observation = dict[str, Image]


class RoomEnv(gymnasium.Env[dict[str, Any], NDArray[np.float32]]):
    """A velocity-driven base looks for the goal of a furnished room.

    Observation: camera name -> uint8 RGB image (64, 64, 3). Action: raw, [-1, 1]^2, the commanded velocity
    as a share of top speed. `reset(options={"layout": {...}})` sets where things stand; what it leaves out
    is drawn. The episode terminates at the goal and is truncated when the time is up.

    `info` holds `cost` (sum over the repeats), `goal` ([x, y], m), `goals` (reached: 0 or 1), `reached`,
    `contact` (in this period), `contacts` (control steps with contact so far), `success` (reached without
    any contact), `clearance` (m), `layout` and `control_steps` (made so far).
    """

    metadata = {"render_modes": ["rgb_array"]}

    def __init__(
        self,
        task: str = "RoomNav",
        action_repeat: int = 1,
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
        self._scene: RoomScene | None = None
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
        self._layout, self._paths = make_layout(
            checked_options(options), self.np_random, furnishing_of(self.variant)
        )
        self._obstacles = self._layout.obstacles()
        self._footprint = Footprint(self._obstacles, HALF_SIZE_M)
        self._scene = RoomScene(self._layout, self.task.robot)
        restyle(self._scene.model, self.variant)
        self._run.begin(self.np_random)
        if self.cameras:
            if self._renderer is None:
                self._renderer = Renderer(IMAGE_SIZE)
            self._renderer.bind(self._scene.model)
        if self._top is not None:
            self._top[1].bind(self._scene.model)
        self._control_steps = self._contacts = 0
        self._contact = self._reached = False
        self._measure()
        return self._observe(), self._info(0.0)

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        """Hold the command for `action_repeat` control steps, or until the episode ends.

        Raises NonFiniteError on NaN or infinity; values outside [-1, 1] are clipped.
        """
        scene = self._running_scene()
        if self._reached or self._time_up():
            raise UsageError("The episode is over; call reset.")
        command = self._run.delayed(checked_action(action, self.adapter.action_dim))
        reward = cost = 0.0
        self._contact = False
        for _ in range(self.action_repeat):
            before = self._path_m
            touched = scene.step(command)
            self._control_steps += 1
            self._contacts += touched
            self._contact |= touched
            self._measure()
            reward += before - self._path_m
            cost += float(touched or self._clearance_m < COST_CLEARANCE_M)
            if self._reached:
                reward += SUCCESS_REWARD
            if self._reached or self._time_up():
                break
        truncated = self._time_up() and not self._reached
        return self._observe(), reward, self._reached, truncated, self._info(cost)

    def privileged_state(self) -> RoomState:
        """The true state at this moment."""
        scene = self._running_scene()
        velocity, yaw_rate = scene.agent_velocity()
        return RoomState(
            position=scene.agent_xy(),
            yaw=scene.agent_yaw(),
            velocity=velocity,
            yaw_rate=yaw_rate,
            goal=np.array(self._layout.goal),
            reach_m=self.task.goal_radius,
            robot_radius_m=ROOM_RADIUS_M,
            half_size=HALF_SIZE_M.copy(),
            obstacles=self._obstacles,
            clearance_m=self._clearance_m,
            contact=self._contact,
            control_step_s=self.task.robot.control_step_s,
            cameras={name: self.task.robot.cameras[name] for name in self.cameras},
            path_distance_m=self._path_m,
        )

    def render_top(self, size: int = 256) -> Image:
        """The room from straight above, world x to the right, uint8 RGB, shape (size, size, 3)."""
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

    def _running_scene(self) -> RoomScene:
        if self._scene is None:
            raise UsageError("No episode is running; call reset first.")
        return self._scene

    def _time_up(self) -> bool:
        return self._control_steps >= self.task.episode_steps

    def _measure(self) -> None:
        """Path length, clearance and whether the goal is reached, at this moment."""
        position = self._running_scene().agent_xy()
        self._path_m = self._paths.length(position)
        self._clearance_m = float(self._footprint.distance(position[None])[0]) - ROOM_RADIUS_M
        self._reached = bool(np.hypot(*(position - self._layout.goal)) <= self.task.goal_radius)

    def _observe(self) -> Observation:
        if self._renderer is None or self._scene is None:
            return {}
        images = {name: self._renderer.image(self._scene.data, name) for name in self.cameras}
        time_s = self._control_steps * self.task.robot.control_step_s
        return {name: self._run.picture(name, image, time_s) for name, image in images.items()}

    def _info(self, cost: float) -> dict[str, Any]:
        return {
            "cost": cost,
            "goal": list(self._layout.goal),
            "goals": int(self._reached),
            "reached": self._reached,
            "contact": self._contact,
            "contacts": self._contacts,
            "success": self._reached and self._contacts == 0,
            "clearance": self._clearance_m,
            "layout": self._layout.to_json(),
            "control_steps": self._control_steps,
        }
