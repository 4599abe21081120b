"""The same stages as the graph, called one after the other in one process: what lockstep must reproduce."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gymnasium
import numpy as np
from numpy.typing import NDArray

import safe_o2o_ros.sim  # noqa: F401  registers the tasks
from safe_o2o_ros.bundle import load_bundle
from safe_o2o_ros.evaluation import BundleDriver
from safe_o2o_ros.sim.tasks import env_id
from safe_o2o_ros.types import Mode


@dataclass(frozen=True)
class DirectEpisode:
    """What one episode of the direct loop brought, per control period."""

    rewards: NDArray[np.float64]
    costs: NDArray[np.float64]
    actions: NDArray[np.float32]
    reasons: list[str]


def drive_directly(
    bundle_path: Path, seed: int, episodes: int, periods: int, mode: Mode = Mode.FILTER
) -> list[DirectEpisode]:
    """Drive the bundle's task as the evaluator does, `periods` control periods per episode."""
    bundle = load_bundle(bundle_path)
    manifest = bundle.manifest
    env = gymnasium.make(
        env_id(manifest.task), cameras=manifest.image.cameras, action_repeat=manifest.action_repeat
    )
    driver = BundleDriver(bundle, mode)
    results = []
    for episode in range(episodes):
        observation, _ = env.reset(seed=seed + episode)
        driver.reset(seed + episode)
        rows = []
        for period in range(periods):
            decision = driver.act(observation, env, period + 1).decision
            observation, reward, _, _, info = env.step(decision.action)
            rows.append((float(reward), float(info["cost"]), decision.action, decision.reason.value))
        rewards, costs, actions, reasons = zip(*rows, strict=True)
        results.append(DirectEpisode(np.array(rewards), np.array(costs), np.stack(actions), list(reasons)))
    env.close()
    return results
