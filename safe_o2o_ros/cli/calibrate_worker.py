"""One process of `safe-o2o calibrate`: drives whole episodes behind a bundle's filter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from safe_o2o_ros.safety.conformal import Judged

LEAST_THRESHOLD, MOST_THRESHOLD = 0.1, 0.8
"""Between these the threshold of every episode is drawn, evenly in the logarithm."""
DRIVERS = ("careless", "own", "careless", "bold")
"""Who asks, in turn: demonstrators that do not or hardly mind hazards, and the bundle's own policy."""


@dataclass(frozen=True)
class Job:
    """One episode."""

    task: str
    bundle: Path
    driver: str
    seed: int
    threshold: float


@dataclass(frozen=True)
class Driven:
    """What became of it, per control period."""

    risk: NDArray[np.float64]
    """(T,) of the command that was executed."""
    cost: NDArray[np.float64]
    """(T,)"""
    changed: NDArray[np.bool_]
    """(T,) by the filter."""
    signs: NDArray[np.float64]
    """(T, 3) of novelty; (T, 0) where the bundle does not tell."""
    reward: float
    threshold: float
    """Of the filter that drove."""

    def judged(self, horizon: int) -> Judged:
        """For the conformal threshold."""
        from safe_o2o_ros.safety.conformal import Judged, events

        return Judged(self.risk, events(self.cost, horizon), self.threshold)


_LAST: dict[tuple[str, Path], tuple[Any, Any]] = {}
"""This process's environment and bundle."""


def drive(job: Job) -> Driven:
    """One episode behind the filter with the job's threshold; nothing stops it for being novel."""
    from safe_o2o_ros.bundle import load_bundle
    from safe_o2o_ros.evaluation import (
        BundleDriver,
        Driver,
        GuardedDriver,
        ListeningDriver,
        ScriptedDriver,
        drive_episode,
    )
    from safe_o2o_ros.safety.novelty import SIGNS
    from safe_o2o_ros.sim.demonstrators import make_demonstrator
    from safe_o2o_ros.sim.make import make_env
    from safe_o2o_ros.types import Mode

    if (job.task, job.bundle) not in _LAST:
        bundle = load_bundle(job.bundle, task=job.task)
        manifest = bundle.manifest
        _LAST[job.task, job.bundle] = (
            make_env(job.task, manifest.action_repeat, manifest.image.cameras, None),
            bundle,
        )
    env, bundle = _LAST[job.task, job.bundle]
    inner: Driver
    if job.driver == "own":
        inner = BundleDriver(bundle, Mode.LIMITS_ONLY)
    else:
        task = env.unwrapped
        inner = ScriptedDriver(make_demonstrator(job.driver, task.adapter, task.period_s))
    guard = GuardedDriver(inner, bundle, Mode.FILTER, job.threshold)
    listening = ListeningDriver(guard)
    log = drive_episode(env, listening, job.seed)
    told = bundle.manifest.latent.novelty
    signs = (
        np.asarray(listening.features, np.float64)[:, -len(SIGNS) :] if told else np.zeros((len(log.cost), 0))
    )
    cost, reward = log.cost.astype(np.float64), float(log.reward.sum())
    return Driven(
        np.asarray([executed_risk(d) for d in listening.decisions]),
        cost,
        log.changed,
        signs,
        reward,
        job.threshold,
    )


def executed_risk(decision: Any) -> float:
    """Risk of the command that was answered; 1 for a brake that nobody scored."""
    if decision.scores is None:
        return 1.0
    actions, risk = decision.scores[:, :-1], decision.scores[:, -1]
    return float(risk[np.abs(actions - decision.action).sum(1).argmin()])
