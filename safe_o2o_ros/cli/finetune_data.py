"""What fine-tuning in simulation is fed with: recorded episodes, the gate's own, drives in parallel."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from safe_o2o_ros.cli.finetune_worker import OWN, Driven, Job, drive

HELD_OUT_SEED = 22_000
_HELD_OUT_DRIVERS = ("careless", OWN, "bold", OWN)
_LEAST_THRESHOLD, _MOST_THRESHOLD = 0.1, 0.8


def collected(args: argparse.Namespace) -> Path:
    """Recorded episodes of the published task, from demonstrators: what bundles are made from, in small."""
    from safe_o2o_ros.cli import collect

    out: Path = args.out / "offline"
    collect.run(
        argparse.Namespace(
            task=args.task,
            variant=None,
            episodes=args.offline_episodes,
            out=out,
            seed=0,
            mix=None,
            bundle=None,
            workers=args.workers,
            images="png",
        )
    )
    return out


def held_out(args: argparse.Namespace, console: Console) -> Path:
    """Episodes for the gate, behind filters of every strictness: the robot's own unsafe set."""
    out: Path = args.out / "held_out"
    rng = np.random.default_rng(HELD_OUT_SEED)
    drawn = np.exp(rng.uniform(np.log(_LEAST_THRESHOLD), np.log(_MOST_THRESHOLD), args.held_out_episodes))
    drivers = _drivers(args.task)
    jobs = [
        Job(
            args.task,
            args.variant,
            args.bundle,
            drivers[i % len(drivers)],
            HELD_OUT_SEED + i,
            True,
            float(drawn[i]),
        )
        for i in range(args.held_out_episodes)
    ]
    done = out / "complete"
    if done.exists():
        return out
    _store(out, args, drive_all(jobs, args.workers, console, "held-out"))
    done.touch()
    return out


def _drivers(task: str) -> tuple[str, ...]:
    """Who asks in held-out episodes, of those this robot has."""
    from safe_o2o_ros.sim.demonstrators import kinds_of
    from safe_o2o_ros.sim.tasks import task_spec

    kinds = kinds_of(task_spec(task).robot.adapter)
    return tuple(d for d in _HELD_OUT_DRIVERS if d == OWN or d in kinds)


def _store(directory: Path, args: argparse.Namespace, driven: Sequence[Driven]) -> None:
    with experience_writer(directory, args) as writer:
        for one in driven:
            writer.append(one.episode)


def experience_writer(directory: Path, args: argparse.Namespace) -> Any:
    """A store for episodes of the robot that `args.bundle` drives, an EpisodeWriter."""
    import safe_o2o_ros
    from safe_o2o_ros.data import EpisodeWriter, Manifest
    from safe_o2o_ros.manifest import read_manifest

    made = read_manifest(args.bundle)
    manifest = Manifest(
        task=args.task,
        cameras=made.image.cameras,
        adapter=made.adapter.to_json(),
        period_s=made.period_s,
        action_repeat=made.action_repeat,
        version=safe_o2o_ros.__version__,
        command="safe-o2o finetune",
        seeds=None,
        mix={},
        variant=args.variant,
    )
    return EpisodeWriter(directory, manifest)


def drive_all(jobs: Sequence[Job], workers: int, console: Console, name: str) -> list[Driven]:
    """All jobs, in parallel, in order."""
    from safe_o2o_ros.cli.pool import parallel
    from safe_o2o_ros.cli.training import bars

    done: dict[int, Driven] = {}
    with bars(console) as report, closing(parallel(drive, jobs, workers)) as finished:
        for index, one in finished:
            done[index] = one
            report(name, len(done), len(jobs), {})
    return [done[i] for i in range(len(jobs))]
