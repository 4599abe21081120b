"""One process of `safe-o2o finetune`: drives whole episodes and returns what was seen and done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from safe_o2o_ros.data import Episode

OWN = "own"
"""Driver: the bundle's policy."""


@dataclass(frozen=True)
class Job:
    """One episode."""

    task: str
    variant: str | None
    bundle: Path
    driver: str
    """OWN, or a demonstrator whose commands go through the bundle's filter."""
    seed: int
    filtered: bool
    threshold: float | None = None
    """Of the filter; None: the bundle's."""
    exploration: float = 0.0
    """See ExpansionPolicy."""
    risk_share: float = 1.0
    """See FilterConfig."""


@dataclass(frozen=True)
class Driven:
    """What became of it."""

    episode: Episode
    record: dict[str, Any]
    """As in `evaluate`'s per_episode."""
    online: int
    """Ticks in which the online actor was chosen."""
    ticks: int


_LAST: dict[tuple[str, str | None], Any] = {}
"""This process's environment."""
_BUNDLES: dict[Path, Any] = {}
"""And its newest bundle."""


def drive(job: Job) -> Driven:
    """Drive `job`."""
    from safe_o2o_ros.bundle import load_bundle
    from safe_o2o_ros.data import Episode
    from safe_o2o_ros.evaluation import BundleDriver, GuardedDriver, ScriptedDriver, drive_episode
    from safe_o2o_ros.online.held_out import ALLOWED, DRIVER
    from safe_o2o_ros.report.record import episode_record
    from safe_o2o_ros.sim.demonstrators import make_demonstrator
    from safe_o2o_ros.sim.make import make_env
    from safe_o2o_ros.types import Mode

    if job.bundle not in _BUNDLES:
        _BUNDLES.clear()
        _BUNDLES[job.bundle] = load_bundle(job.bundle, task=job.task)
    bundle = _BUNDLES[job.bundle]
    cameras = bundle.manifest.image.cameras
    if (job.task, job.variant) not in _LAST:
        _LAST[job.task, job.variant] = make_env(job.task, bundle.manifest.action_repeat, cameras, job.variant)
    env = _LAST[job.task, job.variant]
    mode = Mode.FILTER if job.filtered else Mode.LIMITS_ONLY
    driver: BundleDriver | GuardedDriver
    if job.threshold is None and job.driver == OWN:
        driver = BundleDriver(bundle, mode, job.exploration, job.seed, job.risk_share)
    else:
        inner = (
            BundleDriver(bundle, Mode.LIMITS_ONLY)
            if job.driver == OWN
            else ScriptedDriver(make_demonstrator(job.driver, env.unwrapped.adapter, env.unwrapped.period_s))
        )
        driver = GuardedDriver(inner, bundle, mode, job.threshold)
    frames: list[dict[str, np.ndarray]] = []
    sources: list[bool] = []

    def watch(observation: dict[str, Any]) -> None:
        # Before every decision, and once after the last: so a source is known one frame later.
        frames.append({c: np.array(observation[c]) for c in cameras})
        if len(frames) > 1 and isinstance(driver, BundleDriver):
            sources.append(driver.proposal is not None and driver.proposal.source == "online")

    log = drive_episode(env, driver, job.seed, watch=watch)
    episode = Episode(
        images={c: np.stack([f[c] for f in frames]) for c in cameras},
        actions=log.executed.astype(np.float32),
        rewards=log.reward.astype(np.float32),
        costs=log.cost.astype(np.float32),
        terminated=log.terminated,
        truncated=not log.terminated,
        metadata={
            "task": job.task,
            "seed": job.seed,
            "variant": job.variant,
            DRIVER: job.driver,
            ALLOWED: 1.0 if not job.filtered else job.threshold or bundle.manifest.thresholds.risk,
            "version": bundle.version,
            "action_repeat": bundle.manifest.action_repeat,
            "period_s": bundle.manifest.period_s,
            "adapter": bundle.manifest.adapter.to_json(),
        },
    )
    return Driven(episode, episode_record(log), sum(sources), len(log.reward))
