"""One collecting process of `safe-o2o collect`: drives whole episodes and returns them encoded."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import safe_o2o_ros
from safe_o2o_ros.cli.collect_supervised import Supervised, clearances
from safe_o2o_ros.data.episode import Episode
from safe_o2o_ros.data.store import encode_episode
from safe_o2o_ros.sim.demonstrators import Demonstrator, make_demonstrator
from safe_o2o_ros.sim.surroundings import landmarks, ring


@dataclass(frozen=True)
class Job:
    """One episode to collect."""

    task: str
    """e.g. "PointGoal1"."""
    variant: str | None
    kind: str
    """Demonstrator."""
    seed: int
    cameras: tuple[str, ...]
    image_codec: str
    bundle: str | None = None
    """Directory of a bundle that drives while the demonstrator watches; None: the demonstrator drives."""


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
    success: bool | None
    """None where the task knows no success."""
    think_s: float
    """Time spent in the demonstrator."""


_ENVS: dict[tuple[Any, ...], Any] = {}
"""This process's environments: building one costs as much as many steps."""


def make_env(task: str, variant: str | None, cameras: tuple[str, ...]) -> Any:
    """This process's environment for a task, with its usual action repeat; raises the simulator's errors."""
    import cv2

    from safe_o2o_ros.sim import make

    cv2.setNumThreads(1)  # a process's share, also when it encodes images
    key = (task, variant, cameras)
    if key not in _ENVS:
        _ENVS[key] = make.make_env(task, 0, cameras, variant)
    return _ENVS[key]


def collect_episode(job: Job) -> Collected:
    """Drive one episode to its end."""
    env = make_env(job.task, job.variant, job.cameras)
    base = env.unwrapped
    driver = make_demonstrator(job.kind, base.adapter, base.period_s)
    if job.bundle is not None:
        driver = Supervised(driver, _bundle_driver(job.bundle), env)
    driver.reset(job.seed)
    return record(env, driver, job)


_BUNDLES: dict[str, Any] = {}


def _bundle_driver(path: str) -> Any:
    """This process's driver for a bundle."""
    from safe_o2o_ros.bundle import load_bundle
    from safe_o2o_ros.evaluation import BundleDriver
    from safe_o2o_ros.types import Mode

    if path not in _BUNDLES:
        _BUNDLES[path] = BundleDriver(load_bundle(path), Mode.LIMITS_ONLY)
    return _BUNDLES[path]


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
    info: dict[str, Any] = {}
    while not (terminated or truncated):
        start = time.perf_counter()
        if isinstance(driver, Supervised):
            driver.look(observation)
        action = driver.act(states[-1])
        think_s += time.perf_counter() - start
        observation, reward, terminated, truncated, info = env.step(action)
        actions.append(action)
        rewards.append(float(reward))
        costs.append(float(info["cost"]))
        sources.append(int(driver.source))
        frames.append(observation)
        states.append(base.privileged_state())
    success = info.get("success")
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
            "action_repeat": int(base.action_repeat),
            "period_s": float(base.period_s),
            "adapter": base.adapter.to_json(),
            "version": safe_o2o_ros.__version__,
            "goals": goals,
            "success": None if success is None else bool(success),
            "views": {name: base.task.robot.cameras[name].to_json() for name in job.cameras},
        },
        extras={
            "policy": np.asarray(sources, np.uint8),
            "pose": np.array([[*s.position, s.yaw] for s in states], np.float32),
            "velocity": np.array([[*s.velocity, s.yaw_rate] for s in states], np.float32),
            **clearances(states),
            **_surroundings(states),
        },
    )
    payload = encode_episode(episode, job.image_codec)
    outcome = episode.metadata["success"]
    return Collected(job, payload, len(episode), sum(rewards), sum(costs), goals, outcome, think_s)


def _surroundings(states: list[Any]) -> dict[str, NDArray[np.float32]]:
    """Where things were, one row a frame, where the task's state tells it (see sim/surroundings.py)."""
    if not hasattr(states[0], "hazards"):
        return {}
    return {
        "ring": np.stack([ring(s) for s in states]),
        "landmarks": np.stack([landmarks(s) for s in states]),
    }
