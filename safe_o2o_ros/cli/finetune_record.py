"""What tuning was worth: the frozen bundle and the tuned one in the same scenes, as a record and a table."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from safe_o2o_ros.cli.finetune_data import drive_all
from safe_o2o_ros.cli.finetune_loop import Tuning
from safe_o2o_ros.cli.finetune_worker import OWN, Job


def compare(args: argparse.Namespace, tuning: Tuning, frozen: str, console: Console) -> dict[str, Any]:
    """The frozen bundle in the tuning's scenes, and both in unseen ones."""

    def jobs(bundle: Path, first: int, count: int) -> list[Job]:
        return [
            Job(args.task, args.variant, bundle, OWN, first + i, not args.no_filter) for i in range(count)
        ]

    count, scenes = len(tuning.episodes), args.evaluate
    tuned = Path(tuning.bundle)
    driven = drive_all(
        jobs(args.bundle, args.seed, count)
        + jobs(args.bundle, args.evaluation_seed, scenes)
        + (jobs(tuned, args.evaluation_seed, scenes) if tuned != args.bundle else []),
        args.workers,
        console,
        "compare",
    )
    reference = [d.record for d in driven[:count]]
    before = [d.record for d in driven[count : count + scenes]]
    after = [d.record for d in driven[count + scenes :]] or before
    online = [d.online / d.ticks for d in driven[count + scenes :]]
    record = {
        "task": args.task,
        "variant": args.variant,
        "frozen": frozen,
        "tuned": tuned.name if tuned != args.bundle else None,
        "filter": not args.no_filter,
        "expansion": not args.no_expansion,
        "world_model_updates": args.world_model_updates,
        "gate_used": not args.no_gate,
        "exploration": args.exploration,
        "risk_share": args.risk_share,
        "seed": args.seed,
        "evaluation_seed": args.evaluation_seed,
        "tuning": {
            "episodes": tuning.episodes,
            "frozen": reference,
            "gate": tuning.gate,
            **paired(reference, tuning.episodes, "tuning"),
        },
        "evaluation": {
            "frozen": before,
            "tuned": after,
            "online_share": float(np.mean(online)) if online else 0.0,
            **paired(before, after, "evaluation"),
        },
    }
    show(console, record)
    return record


def paired(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """Means of both and intervals of the differences, reward, cost and periods with a cost; same scenes."""
    from safe_o2o_ros.bootstrap import difference_interval

    out: dict[str, Any] = {"scenes": len(before)}
    for key in ("reward", "cost"):
        first, second = [e[key] for e in before], [e[key] for e in after]
        interval = difference_interval(second, first)
        out[key] = {
            "frozen": float(np.mean(first)) if first else None,
            "tuned": float(np.mean(second)) if second else None,
            "difference_ci95": None if interval is None else list(interval),
        }
    out["violations"] = {"frozen": sum(e["cost"] for e in before), "tuned": sum(e["cost"] for e in after)}
    successes = [e["success"] for e in before if e["success"] is not None]
    if successes:
        out["success"] = {
            "frozen": float(np.mean(successes)),
            "tuned": float(np.mean([e["success"] for e in after])),
        }
    return out


def show(console: Console, record: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(title=f"{record['task']}, variant {record['variant'] or 'default'}")
    for column in ("mean of an episode", "scenes", "frozen", "tuned", "difference, 95 %"):
        table.add_column(column, justify="right" if table.columns else "left")
    for name in ("tuning", "evaluation"):
        row = record[name]
        for key in ("reward", "cost"):
            interval = row[key]["difference_ci95"]
            told = "-" if interval is None else f"{interval[0]:+.1f} .. {interval[1]:+.1f}"
            mine = (row[key][who] for who in ("frozen", "tuned"))
            numbers = ("-" if x is None else f"{x:.1f}" for x in mine)
            table.add_row(f"{key}, {name}", str(row["scenes"]), *numbers, told)
    console.print(table)
    passed = sum(1 for g in record["tuning"]["gate"] if g["passed"])
    console.print(
        f"{passed} of {len(record['tuning']['gate'])} candidates released; online actor "
        f"{100 * record['evaluation']['online_share']:.0f} % of the ticks; cost during tuning "
        f"{record['tuning']['violations']['tuned']:.0f}, "
        f"frozen {record['tuning']['violations']['frozen']:.0f}"
    )
