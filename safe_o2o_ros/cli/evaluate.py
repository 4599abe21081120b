"""`safe-o2o evaluate`: score bundles and references on a simulated task, without ROS."""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safe_o2o_ros.cli.output import write_json
from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.types import Mode

FILTER_MODES = {
    "on": Mode.FILTER,
    "off": Mode.LIMITS_ONLY,
    "shadow": Mode.SHADOW,
}
"""--filter -> mode of the safety filter."""


@dataclass(frozen=True)
class _Job:
    task: str
    variant: str | None
    bundle: str | None
    policy: str | None
    mode: Mode
    blind: bool
    seed: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the subcommand."""
    driver = parser.add_mutually_exclusive_group(required=True)
    driver.add_argument("--bundle", type=Path, help="directory of a model bundle")
    driver.add_argument(
        "--policy", help="a scripted reference instead: a demonstrator's name, e.g. safe, careless, random"
    )
    parser.add_argument("--task", default="PointGoal1", help="simulated task (default: PointGoal1)")
    parser.add_argument("--variant", help="variant of the task, by id")
    parser.add_argument("--episodes", type=int, default=20, help="how many; episode i uses seed + i")
    parser.add_argument("--seed", type=int, default=40_000, help="first seed (default: 40000)")
    parser.add_argument("--filter", choices=sorted(FILTER_MODES), default="off", help="default: off")
    parser.add_argument(
        "--blind", action="store_true", help="show the bundle black pictures: the reference without a camera"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--json", type=Path, help="write the record here")


def run(args: argparse.Namespace) -> int:
    """Evaluate, print a table, write the record."""
    from rich.console import Console
    from rich.progress import track

    from safe_o2o_ros.report.record import evaluation_record

    version, repeat = _check(args)
    jobs = [
        _Job(
            args.task,
            args.variant,
            None if args.bundle is None else str(args.bundle),
            args.policy,
            FILTER_MODES[args.filter],
            args.blind,
            args.seed + i,
        )
        for i in range(args.episodes)
    ]
    console = Console()
    results = list(
        track(_evaluate(jobs, args.workers), "episodes", total=len(jobs), console=console, transient=True)
    )
    record = evaluation_record(
        task=args.task,
        variant=args.variant,
        bundle=version,
        filter_mode=FILTER_MODES[args.filter].value,
        action_repeat=repeat,
        seed=args.seed,
        per_episode=[entry for entry, _ in results],
        ticks=sum(ticks for _, ticks in results),
    )
    if args.policy is not None:
        record["policy"] = args.policy
    if args.blind:
        record["blind"] = True
    _print(console, record, str(args.bundle or args.policy) + (" (blind)" if args.blind else ""))
    if args.json is not None:
        write_json(args.json, record, "record")
    return 0


def check_seeds(manifest: Any, first: int, count: int) -> None:
    """Refuse seeds the bundle has seen. Raises UsageError."""
    for seed in range(first, first + count):
        purpose = manifest.uses_seed(seed)
        if purpose is not None:
            raise UsageError(
                f"seed {seed} was used for the {purpose} of bundle {manifest.version}: "
                "choose unseen seeds, e.g. --seed 40000"
            )


def _check(args: argparse.Namespace) -> tuple[str | None, int]:
    """Everything that can be wrong, before a process starts. Returns bundle version and action repeat."""
    if args.episodes < 1 or args.workers < 1:
        raise UsageError("--episodes and --workers must be at least 1")
    if args.seed < 0:
        raise UsageError(f"--seed must be 0 or more, got {args.seed}")
    if args.policy is not None and args.filter != "off":
        raise UsageError(f"--filter {args.filter} needs --bundle: a scripted reference drives unfiltered")
    if args.policy is not None and args.blind:
        raise UsageError("--blind needs --bundle: a scripted reference looks at no pictures")
    if args.json is not None and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
        raise UsageError(f"--json {args.json} is no file in an existing directory: make the directory first")
    from safe_o2o_ros.sim.tasks import task_spec, variant_spec

    task = task_spec(args.task)
    variant_spec(args.variant)
    if args.bundle is not None:
        from safe_o2o_ros.bundle import load_bundle

        manifest = load_bundle(args.bundle, task=args.task).manifest
        check_seeds(manifest, args.seed, args.episodes)
        return manifest.version, manifest.action_repeat
    from safe_o2o_ros.sim.demonstrators import kinds_of

    kinds = kinds_of(task.robot.adapter)
    if args.policy not in kinds:
        raise UsageError(f"unknown policy '{args.policy}': choose one of {', '.join(kinds)}")
    return None, task.action_repeat


def _evaluate(jobs: list[_Job], workers: int) -> Iterator[tuple[dict[str, Any], int]]:
    """Records and tick counts in the order of the jobs."""
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited: one thread a process is its share
    if workers == 1:
        yield from map(_run_job, jobs)
        return
    with ProcessPoolExecutor(min(workers, len(jobs)), multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_run_job, jobs)


_CACHE: dict[_Job, tuple[Any, Any]] = {}
"""This process's environment and driver: building them costs as much as many steps."""


def _run_job(job: _Job) -> tuple[dict[str, Any], int]:
    from dataclasses import replace

    from safe_o2o_ros.evaluation import drive_episode
    from safe_o2o_ros.report.record import episode_record

    key = replace(job, seed=0)
    if key not in _CACHE:
        _CACHE[key] = _build(job)
    env, driver = _CACHE[key]
    log = drive_episode(env, driver, job.seed)
    return episode_record(log), len(log.reward)


def _build(job: _Job) -> tuple[Any, Any]:
    from safe_o2o_ros.bundle import load_bundle
    from safe_o2o_ros.evaluation import BlindDriver, BundleDriver, ScriptedDriver, check_bundle_fits
    from safe_o2o_ros.sim.demonstrators import make_demonstrator
    from safe_o2o_ros.sim.make import make_env

    if job.bundle is None:
        assert job.policy is not None
        env = make_env(job.task, 0, (), job.variant)
        return env, ScriptedDriver(make_demonstrator(job.policy, env.adapter, env.period_s))
    bundle = load_bundle(job.bundle, task=job.task)
    manifest = bundle.manifest
    env = make_env(job.task, manifest.action_repeat, manifest.image.cameras, job.variant)
    check_bundle_fits(bundle, env)
    driver = BundleDriver(bundle, job.mode)
    return env, BlindDriver(driver) if job.blind else driver


def _print(console: Any, record: dict[str, Any], name: str) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    cells = {
        "driver": name,
        "reward": f"{record['reward_mean']:.2f} ± {record['reward_std']:.2f}",
        "cost": f"{record['cost_mean']:.2f} ± {record['cost_std']:.2f}",
    }
    if record["success_rate"] is not None:
        cells["success"] = f"{100 * record['success_rate']:.0f} %"
        cells["contact"] = f"{100 * record['contact_rate']:.0f} %"
    cells["overrides\n/ 100 ticks"] = f"{record['overrides_per_100']:.1f}"
    for column in cells:
        table.add_column(column, justify="left" if column == "driver" else "right")
    table.add_row(*cells.values())
    # Not the table's own title, which would wrap where the table is narrow.
    last = record["seed"] + record["episodes"] - 1
    console.print(f"{record['task']}, seeds {record['seed']}..{last}, filter {record['filter']}")
    console.print(table)
