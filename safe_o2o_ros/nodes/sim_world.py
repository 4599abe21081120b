"""The simulated task behind sim_node: episodes, outcomes and what is recorded of them. No ROS here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.report.log import EpisodeLog
from safe_o2o_ros.report.recorder import EpisodeRecorder
from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.types import Decision, FloatArray


@dataclass(frozen=True)
class WorldOptions:
    """Which task, how long, what to record."""

    task: str
    cameras: tuple[str, ...]
    action_repeat: int
    """Control steps per control period; 0 = the task's own."""
    variant: str | None
    seed: int
    """Episode i uses seed + i."""
    max_periods: int
    """Control periods after which an episode is cut short; 0 = the task's own end."""
    record: bool
    top_size: int
    """Pixels of the square view from above in the record; 0 = none."""


@dataclass(frozen=True)
class Outcome:
    """What one control period brought."""

    reward: float
    cost: float
    contact: bool | None
    """The robot touches something; None where the task does not tell."""
    ending: str
    """How the episode ended ("success", "failure", "timeout"), "" while it goes on."""


class SimWorld:
    """One environment, driven episode after episode."""

    def __init__(self, options: WorldOptions) -> None:
        """Make the environment. Raises UsageError naming what the task does not have."""
        from safe_o2o_ros.sim.make import make_env  # Gymnasium, only where a world is made

        self.options = options
        self._env = make_env(options.task, options.action_repeat, options.cameras, options.variant)
        robot = self._env.task.robot
        self.adapter: RobotAdapter = self._env.adapter
        self.mounts = {name: robot.cameras[name] for name in options.cameras}
        """Where the cameras sit and what they see: camera name -> CameraPose."""
        self.base_height_m = float(robot.z)
        """Height of base_link over the floor."""
        self.period_s = float(self._env.period_s)
        whole = -(-self._env.task.episode_steps // self._env.action_repeat)
        self.periods = min(whole, options.max_periods or whole)
        """Control periods of an episode."""
        self.episode = -1
        """Index of the running episode."""
        self.images: Mapping[str, NDArray[np.uint8]] = {}
        """The newest frame of every camera, (H, W, 3) uint8 RGB."""

    @property
    def seed(self) -> int:
        """Seed of the running episode."""
        return self.options.seed + self.episode

    @property
    def period(self) -> int:
        """Control periods driven in the running episode."""
        return self._period

    def start_episode(self) -> None:
        """Reset with the next seed."""
        self.episode += 1
        self._period, self._terminated = 0, False
        self.reward = self.cost = 0.0
        observation, self._info = self._env.reset(seed=self.seed)
        self._recorder = EpisodeRecorder(self.seed, self.period_s)
        self._see(observation)

    def state(self) -> Any:
        """The true state: position (2,) m, yaw rad, velocity (2,) m/s in the world frame, yaw_rate rad/s."""
        return self._env.privileged_state()

    def note(self, nominal: FloatArray, decision: Decision, surprise: float) -> None:
        """Put the answer to the newest frame into the record."""
        self._recorder.answer(nominal, decision, surprise)

    def step(self, action: FloatArray) -> Outcome:
        """Hold a raw action (A,) for one control period."""
        observation, reward, self._terminated, truncated, self._info = self._env.step(action)
        cost = float(self._info["cost"])
        self._period += 1
        self.reward += float(reward)
        self.cost += cost
        self._recorder.outcome(float(reward), cost)
        ending = ""
        if self._terminated:
            ending = "success" if self._info.get("success") else "failure"
        elif truncated or self._period >= self.periods:
            ending = "timeout"
        if ending:
            self.images = observation
        else:
            self._see(observation)
        return Outcome(float(reward), cost, self._info.get("contact"), ending)

    def log(self) -> EpisodeLog:
        """The record of the episode that just ended."""
        return self._recorder.finish(self._info, self._terminated)

    def close(self) -> None:
        """Free the graphics contexts."""
        self._env.close()

    def _see(self, images: Mapping[str, NDArray[np.uint8]]) -> None:
        self.images = images
        if not self.options.record:
            return
        state = self.state()
        top = self._env.render_top(self.options.top_size) if self.options.top_size else None
        self._recorder.frame(images if top is not None else {}, state.position, state.yaw, top)


def checked_cameras(cameras: Sequence[str]) -> tuple[str, ...]:
    """Camera names without empty ones (ROS has no empty list of strings)."""
    return tuple(name for name in cameras if name)
