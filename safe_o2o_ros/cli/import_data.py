"""`safe-o2o import`: a bag, a tub or a folder of pictures into a segment store, with an account of it."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

import safe_o2o_ros
from safe_o2o_ros.base import adapter_for, read_base
from safe_o2o_ros.cli import import_options
from safe_o2o_ros.cli.extras import BAGS, require
from safe_o2o_ros.cli.import_table import show
from safe_o2o_ros.cli.output import write_json
from safe_o2o_ros.data import EpisodeReader, EpisodeWriter, Manifest
from safe_o2o_ros.data.aligned import NS, Alignment, Settings
from safe_o2o_ros.data.alignment import align
from safe_o2o_ros.data.bag_recording import read_bag
from safe_o2o_ros.data.bag_types import read_definitions
from safe_o2o_ros.data.bags import is_bag, origin
from safe_o2o_ros.data.csv_folder import csv_of, read_csv
from safe_o2o_ros.data.delay import Delay
from safe_o2o_ros.data.import_report import report
from safe_o2o_ros.data.recorded_delay import actuation_delay
from safe_o2o_ros.data.recorded_episodes import episodes
from safe_o2o_ros.data.rows import Columns, columns_of, from_rows
from safe_o2o_ros.data.store import is_store
from safe_o2o_ros.data.tracks import Recording
from safe_o2o_ros.data.tub import DELETED, is_tub, read_tub
from safe_o2o_ros.errors import RecordingError, StoreError, UsageError
from safe_o2o_ros.perception.shaping import Shape
from safe_o2o_ros.robot import ADAPTERS, RobotAdapter

DEFAULT_PERIOD_S = 0.1
"""Control period of recordings in which nothing tells it."""
UNKNOWN_BASE = RobotAdapter(
    name="unknown",
    action_names=("linear.x", "angular.z"),
    action_units=("m/s", "rad/s"),
    scale=(100.0, 100.0),
    saturation=(1.0, 1.0),
    brake="velocity",
    top_speed=(100.0, 100.0),
    time_constant_s=(0.0, 0.0),
    max_accel=(float("inf"), float("inf")),
    max_decel=(float("inf"), float("inf")),
)
"""Wide enough to clip nothing; for reports only."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    import_options.add(parser)


def run(args: argparse.Namespace) -> int:
    """Read, align, report, store. Nothing is stored before everything has been read."""
    if args.out is None and not args.report_only:
        raise UsageError("give --out for the store to write, or --report-only")
    # The table is wide, and a file or pipe has no width of its own.
    console = Console() if sys.stdout.isatty() else Console(width=120)
    from safe_o2o_ros.cli import import_takes

    if takes := import_takes.takes_of(args.source):
        require(BAGS)
        return import_takes.run(args, takes, console)
    known = origin(args.source)
    adapter = adapter_of(args, known)
    shape = import_options.shape_of(args)
    with _progress(console) as bar:
        task = bar.add_task("reading", total=None)
        recording = read(
            args, adapter, shape, lambda done, total: bar.update(task, completed=done, total=total)
        )
    if args.period is None and isinstance(known.get("period_s"), float):
        args.period = known["period_s"]
    imported = process(recording, args)
    content = report(recording, imported.alignment, imported.settings)
    content["delay"] = None if imported.delay is None else vars(imported.delay)
    content["shifted_steps"] = imported.settings.delay_steps
    content["adapter"] = adapter.name
    show(console, content)
    if args.json is not None:
        write_json(args.json, content, "report")
    if args.report_only:
        return 0
    count = store(args, recording, imported, adapter)
    console.print(f"{count} episodes, {imported.alignment.pairs} steps written to {args.out}", soft_wrap=True)
    return 0


@dataclass(frozen=True)
class Imported:
    """A recording on the grid of its control period."""

    alignment: Alignment
    settings: Settings
    delay: Delay | None


def process(recording: Recording, args: argparse.Namespace) -> Imported:
    """Align, estimate the delay, and align again where the actions are to be shifted by it."""
    settings = settings_of(recording, args)
    alignment = align(recording, settings)
    # Too short episodes are enough to tell the delay.
    whole = alignment if settings.min_steps == 1 else align(recording, replace(settings, min_steps=1))
    delay = None if args.no_delay else actuation_delay(recording, whole, settings.period_ns)
    if args.shift_delay is not None:
        shift_s = args.shift_delay
        if shift_s < 0.0:
            if delay is None:
                raise RecordingError(
                    "the actuation delay cannot be told from this recording: give it, as in --shift-delay 0.2"
                )
            shift_s = delay.delay_s
        settings = replace(settings, delay_steps=max(0, round(shift_s * NS / settings.period_ns)))
        alignment = align(recording, settings)
    return Imported(alignment, settings, delay)


def settings_of(recording: Recording, args: argparse.Namespace) -> Settings:
    """The alignment asked for; the period is by default the clock's own."""
    period_s = args.period
    if period_s is None:
        period_s = usual_period_s(recording)
    if not 0.001 <= period_s <= 10.0:
        raise UsageError(
            f"a control period of {period_s} s is impossible: give --period in seconds, e.g. 0.05"
        )
    gap_s = max(0.2, 3.0 * period_s) if args.max_gap is None else args.max_gap
    if not gap_s > 0.0 or not args.command_timeout > 0.0 or args.min_steps < 1:
        raise UsageError("--max-gap, --command-timeout and --min-steps must be more than 0")
    return Settings(round(period_s * NS), round(gap_s * NS), round(args.command_timeout * NS), args.min_steps)


def usual_period_s(recording: Recording) -> float:
    """The clock's median spacing; whole rates, such as 30 Hz, are taken for what they are."""
    spacing = np.diff(recording.clock.stamps_ns) if recording.clock is not None else np.zeros(0, np.int64)
    if not len(spacing):
        return DEFAULT_PERIOD_S
    rate = NS / float(np.median(spacing))
    return 1.0 / round(rate) if abs(round(rate) / rate - 1.0) < 0.02 else round(1.0 / rate, 4)


def read(args: argparse.Namespace, adapter: RobotAdapter, shape: Shape, progress: Any = None) -> Recording:
    """The recording at `args.source`, whichever kind it is. Raises RecordingError, UsageError."""
    path: Path = args.source
    if not path.exists():
        raise RecordingError(f"there is no recording at {path}: check the path")
    if is_bag(path):
        require(BAGS)
        definitions = read_definitions(args.msg_def)
        topics = import_options.map_of(args, origin(path))
        return read_bag(path, topics, adapter, shape, definitions, progress)
    given = import_options.columns_of(args)
    dropped: Counter[str]
    if is_tub(path):
        rows, names, dropped = read_tub(path, keep_deleted=DELETED in args.cost)
    else:
        file = csv_of(path)
        if file is None:
            raise RecordingError(
                f"{path} is no rosbag2 recording (.mcap, .db3), no DonkeyCar tub (manifest.json, *.catalog) "
                "and no folder with a .csv file: check the path"
            )
        rows, names, dropped = read_csv(file)
    for name in (*args.cost, *args.reward):
        if name not in names and rows:
            raise UsageError(f"there is no column {name}: choose among {', '.join(names)}")
    columns = Columns(columns_of(given, names, adapter), tuple(args.cost), tuple(args.reward))
    return from_rows(str(path), rows, columns, adapter, shape, dropped, progress)


def adapter_of(args: argparse.Namespace, known: dict[str, Any]) -> RobotAdapter:
    """The adapter asked for, or the one that came with the recording.

    Without any only a report can be made: then commands are taken as they are. Raises UsageError.
    """
    if args.adapter is not None:
        return adapter_or_base(args.adapter)
    if "adapter" in known:
        try:
            return RobotAdapter.from_json(known["adapter"])
        except TypeError as error:
            raise RecordingError(f"the adapter noted in {args.source} is damaged: give --adapter") from error
    if csv_of(args.source) is not None or is_tub(args.source):
        return adapter_or_base("rc_car")
    if args.report_only:
        return UNKNOWN_BASE
    raise UsageError(
        "say which robot drove with --adapter: a known one "
        f"({', '.join(ADAPTERS)}), a shipped base, or the .yaml file of yours"
    )


def adapter_or_base(name: str) -> RobotAdapter:
    """A known adapter, or that of a base, shipped ones by their names. Raises UsageError."""
    if name in ADAPTERS or name.endswith((".yaml", ".yml")):
        return adapter_for(name)
    adapter = read_base(name).adapter
    if adapter is None:
        raise UsageError(f"the base '{name}' has no adapter: choose another --adapter")
    return adapter


def store(args: argparse.Namespace, recording: Recording, imported: Imported, adapter: RobotAdapter) -> int:
    """Write the episodes; returns how many. Raises StoreError, RecordingError."""
    command = shlex.join(["safe-o2o", *sys.argv[1:]])
    settings = imported.settings
    metadata = {
        "task": args.task,
        "source": recording.source,
        "demonstrator": "recorded",
        "period_s": settings.period_ns / NS,
        "shifted_s": settings.delay_steps * settings.period_ns / NS,
        "adapter": adapter.to_json(),
    }
    parts = episodes(recording, imported.alignment, settings.command_timeout_ns, metadata)
    first = next(parts, None)
    if first is None:
        raise RecordingError(
            f"{recording.source} gives no episode of at least {settings.min_steps} steps: see in the report "
            "where its messages went"
        )
    manifest = Manifest(
        task=args.task,
        cameras=tuple(recording.cameras),
        adapter=adapter.to_json(),
        period_s=settings.period_ns / NS,
        action_repeat=1,
        version=safe_o2o_ros.__version__,
        command=command,
    )
    count = 1
    _refuse_twice(args.out, recording.source)
    with EpisodeWriter(args.out, manifest, args.images) as writer:
        writer.append(first)
        for episode in parts:
            writer.append(episode)
            count += 1
    return count


def _refuse_twice(out: Path, source: str) -> None:
    """Raise StoreError where the store already holds this recording: the same drive must not count double."""
    if is_store(out) and any(m.get("source") == source for m in EpisodeReader(out).metadata()):
        raise StoreError(f"{out} already holds the episodes of {source}: choose another --out")


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
