"""One collecting process of `safe-o2o collect`: drives whole episodes and returns them encoded."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import safe_o2o_ros
from safe_o2o_ros.data.episode import Episode
from safe_o2o_ros.data.store import encode_episode
from safe_o2o_ros.sim.demonstrators import Demonstrator, make_demonstrator


@dataclass(frozen=True)
class Job:
    """One episode to collect."""

    task: str
    """e.g. "PointGoal1"."""
    variant: str | None
    kind: str
    """Demonstrator."""
    seed: int
    action_repeat: int
    cameras: tuple[str, ...]
    image_codec: str


@dataclass(frozen=True)
class Collected:
    """One encoded episode and its numbers."""

    job: Job
    payload: bytes
    steps: int
    """Control periods."""
    reward: float
    """Sum over the episode."""
    cost: float
    """Sum over the episode."""
    goals: int
    think_s: float
    """Time spent in the demonstrator."""


_ENVS: dict[tuple[Any, ...], Any] = {}
"""This process's environments: building one costs as much as many steps."""


def start_worker() -> None:
    """Initialise a process: Ctrl-C is the parent's to handle, and one thread is this process's share."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent closes no queue, so its workers would wait for jobs for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def make_env(task: str, variant: str | None, action_repeat: int, cameras: tuple[str, ...]) -> Any:
    """This process's environment for a task; raises the simulator's named errors."""
    import gymnasium

    import safe_o2o_ros.sim  # noqa: F401  registers the tasks

    key = (task, variant, action_repeat, cameras)
    if key not in _ENVS:
        options: dict[str, Any] = {} if variant is None else {"variant": variant}
        _ENVS[key] = gymnasium.make(
            f"safe_o2o/{task}-v0", action_repeat=action_repeat, cameras=cameras, **options
        )
    return _ENVS[key]


def collect_episode(job: Job) -> Collected:
    """Drive one episode to its end."""
    env = make_env(job.task, job.variant, job.action_repeat, job.cameras)
    base = env.unwrapped
    driver = make_demonstrator(job.kind, base.adapter, base.period_s)
    driver.reset(job.seed)
    return record(env, driver, job)


def record(env: Any, driver: Demonstrator, job: Job) -> Collected:
    """Run `driver` in `env` from a reset with the job's seed until termination or time-out."""
    base = env.unwrapped
    observation, _ = env.reset(seed=job.seed)
    frames = [observation]
    states = [base.privileged_state()]
    actions: list[NDArray[np.float32]] = []
    rewards: list[float] = []
    costs: list[float] = []
    sources: list[int] = []
    think_s = 0.0
    terminated = truncated = False
    goals = 0
    while not (terminated or truncated):
        start = time.perf_counter()
        action = driver.act(states[-1])
        think_s += time.perf_counter() - start
        observation, reward, terminated, truncated, info = env.step(action)
        actions.append(action)
        rewards.append(float(reward))
        costs.append(float(info["cost"]))
        sources.append(int(driver.source))
        frames.append(observation)
        states.append(base.privileged_state())
        goals = int(info["goals"])
    episode = Episode(
        images={camera: np.stack([f[camera] for f in frames]) for camera in job.cameras},
        actions=np.stack(actions).astype(np.float32),
        rewards=np.asarray(rewards, np.float32),
        costs=np.asarray(costs, np.float32),
        terminated=bool(terminated),
        truncated=bool(truncated),
        metadata={
            "task": job.task,
            "variant": job.variant,
            "seed": job.seed,
            "demonstrator": job.kind,
            "action_repeat": job.action_repeat,
            "period_s": float(base.period_s),
            "adapter": base.adapter.to_json(),
            "version": safe_o2o_ros.__version__,
            "goals": goals,
        },
        extras={
            "policy": np.asarray(sources, np.uint8),
            "pose": np.array([[*s.position, s.yaw] for s in states], np.float32),
            "velocity": np.array([[*s.velocity, s.yaw_rate] for s in states], np.float32),
            "hazard_clearance": np.array([_clearance(s) for s in states], np.float32),
        },
    )
    payload = encode_episode(episode, job.image_codec)
    return Collected(job, payload, len(episode), sum(rewards), sum(costs), goals, think_s)


def _clearance(state: Any) -> float:
    """Metres from the robot's centre to the nearest hazard's edge; negative inside; 10 without hazards."""
    if not len(state.hazards):
        return 10.0
    offsets = np.asarray(state.hazards) - np.asarray(state.position)
    return float(np.hypot(offsets[:, 0], offsets[:, 1]).min() - state.hazard_radius)
