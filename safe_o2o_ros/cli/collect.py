"""`safe-o2o collect`: demonstrations of a simulated task, in parallel, into one segment store."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

import safe_o2o_ros
from safe_o2o_ros.cli.collect_worker import Collected, Job, collect_episode, make_env
from safe_o2o_ros.cli.pool import parallel
from safe_o2o_ros.data import EpisodeReader, EpisodeWriter, Manifest, read_manifest
from safe_o2o_ros.data.store import is_store
from safe_o2o_ros.errors import StoreError, UsageError, WorkerError
from safe_o2o_ros.sim.demonstrators import KINDS, default_mix, kind_of, parse_mix
from safe_o2o_ros.sim.tasks import task_spec

SEED_RANGES = {"training": (0, 9_999), "selection": (10_000, 19_999), "calibration": (20_000, 29_999)}
"""What recorded episodes may be used for -> first and last seed. Tests are scored on others."""
CAMERAS = ("front", "back")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    kinds = "\n".join(
        f"{robot}:\n" + "\n".join(f"  {name:16s} {kind.share:4.2f}  {kind.text}" for name, kind in of.items())
        for robot, of in KINDS.items()
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        f"demonstrators of each robot and their default share of episodes:\n{kinds}\n\n"
        "Running the same command again continues where it stopped: stored seeds are skipped."
    )
    parser.add_argument("--task", default="PointGoal1", help="simulated task (default: PointGoal1)")
    parser.add_argument("--variant", help="variant of the task, by id")
    parser.add_argument("--episodes", type=int, required=True, help="how many; episode i uses seed + i")
    parser.add_argument(
        "--out", type=Path, required=True, help="directory of the store, created or continued"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="first seed: 0-9999 for training, 20000-29999 for calibration (default: 0)",
    )
    parser.add_argument("--mix", help="shares of the demonstrators, e.g. safe:0.5,careless:0.5")
    parser.add_argument(
        "--bundle",
        type=Path,
        help="let this bundle drive; the demonstrators of the mix take over where it errs",
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument(
        "--images",
        default="png",
        choices=("png", "jpeg", "zlib", "raw"),
        help="image compression (default: png)",
    )


def run(args: argparse.Namespace) -> int:
    """Collect; returns 0, or 130 after Ctrl-C (what was collected is kept)."""
    jobs = plan(args)
    stored = stored_seeds(args.out)
    todo = [job for job in jobs if job.seed not in stored]
    console = Console()
    if len(todo) < len(jobs):
        console.print(f"{len(jobs) - len(todo)} of {len(jobs)} episodes are already in {args.out}")
    done: list[Collected] = []
    interrupted = False
    start = time.perf_counter()
    with (
        EpisodeWriter(args.out, manifest_of(args, jobs), args.images) as writer,
        _progress(console) as progress,
    ):
        bar = progress.add_task("collecting", total=len(todo), note="")
        try:
            for number, result in enumerate(_collect(todo, args.workers), 1):
                writer.append_encoded(result.payload)
                done.append(Collected(**(vars(result) | {"payload": b""})))
                rate = sum(r.steps for r in done) / (time.perf_counter() - start)
                note = f"{rate:.0f} steps/s  " + "  ".join(
                    f"{k} {r:.1f}/{c:.0f}" for k, (r, c) in _means(done).items()
                )
                progress.update(bar, completed=number, note=note)
                if not console.is_terminal and number % 20 == 0:
                    console.print(f"{number}/{len(todo)} episodes  {note}", soft_wrap=True)
        except KeyboardInterrupt:
            interrupted = True
    console.print(_table(done, time.perf_counter() - start))
    if interrupted:
        console.print(f"interrupted: {len(done)} episodes are stored; run the same command to continue")
    return 130 if interrupted else 0


def plan(args: argparse.Namespace) -> list[Job]:
    """The episodes asked for; raises UsageError."""
    first, last = args.seed, args.seed + args.episodes - 1
    if args.episodes < 1 or args.workers < 1:
        raise UsageError("--episodes and --workers must be at least 1")
    if not any(low <= first and last <= high for low, high in SEED_RANGES.values()):
        known = ", ".join(f"{low}-{high} ({name})" for name, (low, high) in SEED_RANGES.items())
        raise UsageError(
            f"seeds {first} to {last} lie in no one of the ranges {known}; data from others would spoil the "
            "tests, so choose --seed and --episodes inside one of these"
        )
    mix = mix_of(args)
    bundle = _checked_bundle(args)
    return [
        Job(args.task, args.variant, kind_of(seed, mix), seed, CAMERAS, args.images, bundle)
        for seed in range(first, last + 1)
    ]


def _checked_bundle(args: argparse.Namespace) -> str | None:
    """Path of --bundle, if any; raises BundleError before a process starts."""
    if args.bundle is None:
        return None
    from safe_o2o_ros.bundle import load_bundle
    from safe_o2o_ros.evaluation import check_bundle_fits

    check_bundle_fits(load_bundle(args.bundle, task=args.task), make_env(args.task, args.variant, CAMERAS))
    return str(args.bundle.absolute())


def mix_of(args: argparse.Namespace) -> dict[str, float]:
    """The shares asked for, or those of the task's robot; raises UsageError."""
    adapter = task_spec(args.task).robot.adapter
    if args.mix:
        return parse_mix(args.mix, adapter)
    return {"safe": 1.0} if args.bundle else default_mix(adapter)


def stored_seeds(directory: Path) -> set[int]:
    """Seeds of the intact episodes of a store; empty when there is no store yet."""
    if not is_store(directory):
        return set()
    return {int(meta["seed"]) for meta in EpisodeReader(directory).metadata() if "seed" in meta}


def manifest_of(args: argparse.Namespace, jobs: Sequence[Job]) -> Manifest:
    """Provenance, with the seeds of an existing store included; raises the simulator's named errors."""
    base = make_env(args.task, args.variant, CAMERAS).unwrapped
    first, last = jobs[0].seed, jobs[-1].seed
    if (args.out / "manifest.json").exists():
        seeds = read_manifest(args.out).seeds or (first, last)
        first, last = min(first, seeds[0]), max(last, seeds[1])
    return Manifest(
        task=args.task,
        cameras=CAMERAS,
        adapter=base.adapter.to_json(),
        period_s=float(base.period_s),
        action_repeat=int(base.action_repeat),
        version=safe_o2o_ros.__version__,
        command=shlex.join(["safe-o2o", *sys.argv[1:]]),
        seeds=(first, last),
        mix=mix_of(args),
        variant=args.variant,
    )


def _collect(jobs: Sequence[Job], workers: int) -> Iterator[Collected]:
    """Episodes as they finish, in any order; raises StoreError when a process dies."""
    try:
        yield from (collected for _, collected in parallel(collect_episode, jobs, workers))
    except WorkerError as error:
        raise StoreError(
            "a collecting process died (out of memory?); what is stored is safe, run again with "
            "fewer --workers"
        ) from error


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(
        *columns, TextColumn("{task.fields[note]}"), console=console, disable=not console.is_terminal
    )


def _means(done: Sequence[Collected]) -> dict[str, tuple[float, float]]:
    """Kind -> mean reward and cost of its episodes, in the order of the alphabet."""
    kinds = sorted({r.job.kind for r in done})
    return {
        k: (
            float(np.mean([r.reward for r in done if r.job.kind == k])),
            float(np.mean([r.cost for r in done if r.job.kind == k])),
        )
        for k in kinds
    }


def _table(done: Sequence[Collected], wall_s: float) -> Table:
    steps = sum(r.steps for r in done)
    table = Table(title=f"{len(done)} episodes, {steps} steps, {steps / wall_s:.0f} steps/s")
    for column in ("demonstrator", "episodes", "steps", "reward", "cost", "goals", "success", "ms/decision"):
        table.add_column(column, justify="left" if column == "demonstrator" else "right")
    for kind, (reward, cost) in _means(done).items():
        group = [r for r in done if r.job.kind == kind]
        think_ms = 1e3 * sum(r.think_s for r in group) / sum(r.steps for r in group)
        goals = float(np.mean([r.goals for r in group]))
        succeeded = [r.success for r in group if r.success is not None]
        table.add_row(
            kind,
            str(len(group)),
            f"{np.mean([r.steps for r in group]):.0f}",
            f"{reward:.2f}",
            f"{cost:.1f}",
            f"{goals:.1f}",
            f"{100.0 * np.mean(succeeded):.0f} %" if succeeded else "-",
            f"{think_ms:.2f}",
        )
    return table
