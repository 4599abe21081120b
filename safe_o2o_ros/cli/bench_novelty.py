"""`safe-o2o bench novelty`: does a bundle tell changed pictures and broken cameras from ordinary ones."""

from __future__ import annotations

import argparse
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from safe_o2o_ros.cli.bench_reachability import area_under_curve
from safe_o2o_ros.cli.pool import parallel
from safe_o2o_ros.cli.training import bars
from safe_o2o_ros.errors import UsageError

BLOCK_S = 4.0
"""A fault that comes and goes (camera_freeze) is looked for in stretches of this length, seconds."""


@dataclass(frozen=True)
class Job:
    """One episode."""

    task: str
    bundle: Path
    variant: str
    seed: int


@dataclass(frozen=True)
class Told:
    """What the signs said in one episode, per control period."""

    score: NDArray[np.float64]
    """(T,) the largest of the signs, means over the gauge's window, in units of their caution threshold."""
    raw: NDArray[np.float64]
    """(T,) the same of single periods."""
    level: NDArray[np.int8]
    """(T,) 0 familiar, 1 caution, 2 stop."""
    moving: NDArray[np.bool_]
    """(T,) whether the robot was told to move: while it stands, a picture that stands is no fault."""
    cost: float
    reward: float


def drive(job: Job) -> Told:
    """One episode, in which the filter looks on: a stop would end what is to be measured."""
    from safe_o2o_ros.bundle import load_bundle
    from safe_o2o_ros.evaluation import BundleDriver, ListeningDriver, drive_episode
    from safe_o2o_ros.safety.novelty import REPEATED_CAUTION, SIGNS, smoothed, window_of
    from safe_o2o_ros.sim.make import make_env
    from safe_o2o_ros.types import Mode

    if (job.task, job.bundle, job.variant) not in _LAST:
        for env, *_ in _LAST.values():
            env.close()
        _LAST.clear()
        bundle = load_bundle(job.bundle, task=job.task)
        env = make_env(job.task, bundle.manifest.action_repeat, bundle.manifest.image.cameras, job.variant)
        _LAST[job.task, job.bundle, job.variant] = env, bundle
    env, bundle = _LAST[job.task, job.bundle, job.variant]
    driver = ListeningDriver(BundleDriver(bundle, Mode.SHADOW))
    log = drive_episode(env, driver, job.seed)
    thresholds = bundle.manifest.thresholds
    caution = np.array([thresholds.surprise_caution, thresholds.pictures_caution, REPEATED_CAUTION])
    signs = np.asarray(driver.features)[:, -len(SIGNS) :] / caution
    window = window_of(bundle.manifest.period_s)
    means = np.stack([smoothed(column, window) for column in signs.T], 1)
    levels = {"": 0, "caution": 1, "stop": 2}
    level = np.array([levels[d.novelty.partition(":")[0]] for d in driver.decisions], np.int8)
    executed = bundle.manifest.adapter.effective(log.executed)
    moving = np.abs(executed).max(1) > _MOVING
    return Told(means.max(1), signs.max(1), level, moving, float(log.cost.sum()), float(log.reward.sum()))


_MOVING = 0.05
"""Effective action."""


_LAST: dict[tuple[str, Path, str], tuple[Any, Any]] = {}
"""This process's environment and bundle."""


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Drive the task as published and in every variant. Raises UsageError and what a bundle raises."""
    from safe_o2o_ros.bundle import load_bundle
    from safe_o2o_ros.cli.evaluate_rows import check_seeds
    from safe_o2o_ros.graph import default_bundle
    from safe_o2o_ros.sim.variants import DEFAULT_VARIANT, variants_of

    if args.episodes < 2:
        raise UsageError(f"--episodes must be at least 2, got {args.episodes}")
    path = args.bundle or default_bundle(args.task)
    bundle = load_bundle(path, task=args.task)
    if not bundle.manifest.latent.novelty:
        raise UsageError(f"bundle {bundle.version} does not tell what is novel: train it anew")
    check_seeds(bundle.manifest, args.seed, args.episodes)
    names = list(variants_of(args.task))
    jobs = [Job(args.task, path, name, args.seed + i) for name in names for i in range(args.episodes)]
    told: dict[int, Told] = {}
    with bars(Console()) as report, closing(parallel(drive, jobs, args.workers)) as finished:
        for index, one in finished:
            told[index] = one
            report("episodes", len(told), len(jobs), {})
    by_name = {
        name: [told[k * args.episodes + i] for i in range(args.episodes)] for k, name in enumerate(names)
    }
    block = max(1, round(BLOCK_S / bundle.manifest.period_s))
    ordinary = by_name[DEFAULT_VARIANT]
    return {
        "task": args.task,
        "bundle": bundle.version,
        "episodes": args.episodes,
        "seed": args.seed,
        "block_s": BLOCK_S,
        "variants": {name: summary(some, ordinary, block) for name, some in by_name.items()},
    }


def summary(some: list[Told], ordinary: list[Told], block: int) -> dict[str, float]:
    """Of one variant's episodes beside those of the task as published."""
    levels = np.concatenate([t.level for t in some])
    return {
        "auroc_tick": separation([t.raw for t in ordinary], [t.raw for t in some]),
        "auroc_window": separation([t.score for t in ordinary], [t.score for t in some]),
        "auroc_block": separation([blocks(t, block) for t in ordinary], [blocks(t, block) for t in some]),
        "caution_ticks": float((levels >= 1).mean()),
        "stop_ticks": float((levels == 2).mean()),
        "caution_episodes": float(np.mean([(t.level >= 1).any() for t in some])),
        "stop_episodes": float(np.mean([(t.level == 2).any() for t in some])),
        "reward": float(np.mean([t.reward for t in some])),
        "cost": float(np.mean([t.cost for t in some])),
    }


def blocks(told: Told, length: int) -> NDArray[np.float64]:
    """The largest score of each whole block in which the robot was moving for most of the time."""
    starts = range(0, len(told.score) - length + 1, length)
    moved = [i for i in starts if told.moving[i : i + length].mean() > 0.5]
    return np.array([told.score[i : i + length].max() for i in moved])


def separation(ordinary: list[NDArray[np.float64]], other: list[NDArray[np.float64]]) -> float:
    """Area under the curve: the probability that another score is above an ordinary one; ties count half."""
    a, b = np.concatenate(ordinary), np.concatenate(other)
    return area_under_curve(np.concatenate([a, b]), np.arange(len(a) + len(b)) >= len(a))


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"{result['bundle']}, {result['episodes']} episodes each, seeds from {result['seed']}",
    )
    columns = {
        "auroc_tick": "AUROC\n1 period",
        "auroc_window": "AUROC\n0.8 s",
        "auroc_block": f"AUROC\n{result['block_s']:g} s",
        "caution_ticks": "caution\n% of time",
        "stop_ticks": "stop\n% of time",
        "stop_episodes": "stopped\n% of episodes",
        "reward": "reward",
        "cost": "cost",
    }
    table.add_column("variant")
    for title in columns.values():
        table.add_column(title, justify="right")
    for name, row in result["variants"].items():
        cells = [
            f"{row[key]:.3f}"
            if key.startswith("auroc")
            else f"{100 * row[key]:.1f}"
            if key.endswith(("ticks", "episodes"))
            else f"{row[key]:.1f}"
            for key in columns
        ]
        table.add_row(name, *cells)
    Console().print(table)
