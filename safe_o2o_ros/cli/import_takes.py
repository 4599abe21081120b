"""`safe-o2o import` of a whole folder of takes: every one that the store does not hold yet."""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any

from rich.console import Console

from safe_o2o_ros.cli import import_data, import_options
from safe_o2o_ros.data import EpisodeReader
from safe_o2o_ros.data.bags import is_bag, origin
from safe_o2o_ros.data.recorded_episodes import amounts
from safe_o2o_ros.data.store import is_store
from safe_o2o_ros.data.takes import is_being_recorded
from safe_o2o_ros.errors import RecordingError, UsageError


def takes_of(source: Path) -> list[Path]:
    """The bags of recorder_node in a folder, oldest first; [] where it is no such folder."""
    if not source.is_dir():
        return []
    found = [path for path in source.glob("take_*") if path.is_dir() and is_bag(path)]
    return sorted(found, key=lambda path: (len(path.name), path.name))


def run(args: argparse.Namespace, takes: list[Path], console: Console) -> int:
    """Import one after the other, a line for each. Raises RecordingError where none gives an episode."""
    if args.out is None or args.json is not None or args.report_only:
        raise UsageError(
            f"{args.source} holds {len(takes)} takes: give --out for the store, or one take for a report"
        )
    known = [m.get("source") for m in EpisodeReader(args.out).metadata()] if is_store(args.out) else []
    period_s = args.period or (EpisodeReader(args.out).manifest.period_s if known else None)
    steps = episodes = 0
    for take in takes:
        if is_being_recorded(take):
            console.print(f"{take.name}: is being recorded")
            continue
        if str(take) in known:
            console.print(f"{take.name}: is in the store already")
            continue
        one: Any = copy.copy(args)
        one.source, travelling = take, origin(take)
        # All of one store have one period: that of the first take, where nothing tells it.
        one.period = period_s if period_s is not None else travelling.get("period_s")
        adapter = import_data.adapter_of(one, travelling)
        recording = import_data.read(one, adapter, import_options.shape_of(one))
        try:
            imported = import_data.process(recording, one)
            count = import_data.store(one, recording, imported, adapter)
        except RecordingError as error:
            console.print(f"{take.name}: left out: {error}", markup=False, soft_wrap=True)
            continue
        period_s = imported.settings.period_ns / 1e9
        steps, episodes = steps + imported.alignment.pairs, episodes + count
        edges = [e.outcome_edges_ns for e in imported.alignment.episodes]
        hold_ns = imported.settings.command_timeout_ns
        costs = sum(int((amounts(recording.costs, e, hold_ns) > 0.0).sum()) for e in edges)
        console.print(
            f"{take.name}: {count} episodes, {imported.alignment.pairs} steps, {costs} of them cost",
            highlight=False,
        )
    console.print(f"{episodes} episodes, {steps} steps written to {args.out}", soft_wrap=True)
    if not episodes and not known:
        raise RecordingError(f"no take of {args.source} gives an episode: import one alone for its report")
    return 0
