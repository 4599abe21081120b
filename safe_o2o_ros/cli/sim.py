"""`safe-o2o sim`: drive a simulated task through the whole ROS 2 graph in lockstep, write a report."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from safe_o2o_ros.cli.output import report_folder, write_json
from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.graph import DeployOptions, default_bundle, deployment

_TOP_SIZE = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the subcommand."""
    parser.add_argument("--task", default="PointGoal1", help="simulated task (default: PointGoal1)")
    parser.add_argument("--variant", help="variant of the task, by id")
    parser.add_argument(
        "--episodes", type=int, default=3, help="how many; episode i uses seed + i (default: 3)"
    )
    parser.add_argument("--seed", type=int, default=40_000, help="first seed (default: 40000)")
    parser.add_argument("--bundle", type=Path, help="directory of a model bundle (default: the task's own)")
    parser.add_argument("--filter", choices=("on", "off", "shadow"), default="on", help="default: on")
    parser.add_argument("--out", type=Path, help="folder of the report (default: runs/sim-TASK-N)")
    parser.add_argument("--json", type=Path, help="write the evaluation record here, too")
    parser.add_argument("--no-video", action="store_true", help="record no pictures, write no video")
    parser.add_argument(
        "--periods",
        type=int,
        default=0,
        help="cut episodes after this many control periods (default: 0, whole)",
    )


@dataclass(frozen=True)
class _Checked:
    bundle: Path
    version: str
    action_repeat: int
    mode: str


def run(args: argparse.Namespace) -> int:
    """Check everything, drive, collect, report."""
    checked = _check(args)
    out = report_folder(args.out, f"sim-{args.task}")
    from rich.console import Console

    from safe_o2o_ros.domain import private_domain
    from safe_o2o_ros.processes import Processes
    from safe_o2o_ros.report import print_table, write_report
    from safe_o2o_ros.report.log import EpisodeLog
    from safe_o2o_ros.report.record import episode_record, evaluation_record

    records = Path(tempfile.mkdtemp(prefix=".episodes-", dir=out))
    try:
        graph = deployment(
            DeployOptions(
                sim=True,
                task=args.task,
                bundle=str(checked.bundle),
                mode=checked.mode,
                seed=args.seed,
                episodes=args.episodes,
                max_periods=args.periods,
                lockstep=True,
                variant=args.variant,
                record_dir=str(records),
                top_size=0 if args.no_video else _TOP_SIZE,
                progress=True,
            )
        )
        console = Console(stderr=True)
        with (out / "nodes.log").open("w", encoding="utf-8") as log, _progress(args.episodes, console) as bar:

            def sink(node: str, line: str, stdout: bool) -> None:
                if node == "sim_node" and stdout and line.startswith("{"):
                    bar(json.loads(line))
                else:
                    _write(log, f"[{node}] {line}")

            with private_domain():
                Processes(graph, sink).run()
        episodes = [EpisodeLog.load(path) for path in sorted(records.glob("*.npz"))]
    finally:
        shutil.rmtree(records)
    record = evaluation_record(
        task=args.task,
        variant=args.variant,
        bundle=checked.version,
        filter_mode=checked.mode,
        action_repeat=checked.action_repeat,
        seed=args.seed,
        per_episode=[episode_record(e) for e in episodes],
        ticks=sum(len(e.reward) for e in episodes),
    )
    with console.status("writing the report"):
        paths = write_report(out, record, episodes, video=not args.no_video)
    if args.json is not None:
        write_json(args.json, record, "record")
    print_table(record)
    for note in paths.notes:
        print(note)
    print(f"report: {paths.page}")
    return 0


def _check(args: argparse.Namespace) -> _Checked:
    """Everything that can be wrong, before a process starts."""
    from safe_o2o_ros.cli.evaluate_rows import FILTER_MODES, check_seeds
    from safe_o2o_ros.cli.extras import INFERENCE, ROS, SIM, require

    require(ROS, SIM, INFERENCE)
    from safe_o2o_ros.bundle import load_bundle
    from safe_o2o_ros.sim.tasks import task_spec, variant_spec

    if args.episodes < 1 or args.seed < 0 or args.periods < 0:
        raise UsageError("--episodes must be at least 1, --seed and --periods at least 0")
    task = task_spec(args.task)
    variant_spec(args.variant)
    path = args.bundle or default_bundle(args.task)
    manifest = load_bundle(path, networks=(), task=args.task).manifest
    check_seeds(manifest, args.seed, args.episodes)
    unknown = [c for c in manifest.image.cameras if c not in task.robot.cameras]
    if unknown:
        raise UsageError(
            f"bundle {manifest.version} needs the camera '{unknown[0]}', which {args.task} does not have "
            f"({', '.join(task.robot.cameras)}): choose another bundle"
        )
    return _Checked(path, manifest.version, manifest.action_repeat, FILTER_MODES[args.filter].value)


@contextmanager
def _progress(episodes: int, console: Any) -> Iterator[Any]:
    """A bar over control periods, fed with sim_node's progress lines."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        bar = progress.add_task("starting the graph", total=None)

        def update(event: dict[str, Any]) -> None:
            done = event["episode"] * event["periods"] + event["period"]
            text = f"episode {event['episode'] + 1}/{episodes}"
            text += f"  reward {event['reward']:.2f}  cost {event['cost']:.0f}"
            progress.update(bar, description=text, total=episodes * event["periods"], completed=done)

        yield update


def _write(log: IO[str], line: str) -> None:
    log.write(line + "\n")
    log.flush()
