"""RoomNav as a Gymnasium environment, with the same outside as the benchmark's tasks."""

from __future__ import annotations

from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.sim.checks import checked_action, checked_options
from safe_o2o_ros.sim.robots import ROOM_RADIUS_M
from safe_o2o_ros.sim.room.geometry import Footprint
from safe_o2o_ros.sim.room.layout import HALF_SIZE_M, make_layout
from safe_o2o_ros.sim.room.scene import RoomScene
from safe_o2o_ros.sim.room.state import RoomState
from safe_o2o_ros.sim.room.varied import furnishing_of, restyle
from safe_o2o_ros.sim.simulated_task import Observation, SimulatedTask

SUCCESS_REWARD = 10.0
COST_CLEARANCE_M = 0.02
"""Nearer than this to anything costs."""


class RoomEnv(SimulatedTask[RoomScene]):
    """A velocity-driven base looks for the goal of a furnished room.

    Observation: see SimulatedTask. Action: raw, [-1, 1]^2, the commanded velocity as a share of top speed.
    `reset(options={"layout": {...}})` sets where things stand; what it leaves out
    is drawn. The episode terminates at the goal and is truncated when the time is up.

    `info` holds `cost` (sum over the repeats), `goal` ([x, y], m), `goals` (reached: 0 or 1), `reached`,
    `contact` (in this period), `contacts` (control steps with contact so far), `success` (reached without
    any contact), `clearance` (m), `layout` and `control_steps` (made so far).
    """

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
        scene = RoomScene(self._layout, self.task.robot)
        restyle(scene.model, self.variant)
        self._run.begin(self.np_random)
        self._show(scene)
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

    def _measure(self) -> None:
        """Path length, clearance and whether the goal is reached, at this moment."""
        position = self._running_scene().agent_xy()
        self._path_m = self._paths.length(position)
        self._clearance_m = float(self._footprint.distance(position[None])[0]) - ROOM_RADIUS_M
        self._reached = bool(np.hypot(*(position - self._layout.goal)) <= self.task.goal_radius)

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
