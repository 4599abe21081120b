"""`safe-o2o bench stop`: kill a node of the driving graph with SIGKILL and time the stop."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np

from safe_o2o_ros.errors import GraphError
from safe_o2o_ros.graph import PACKAGE, DeployOptions, NodeSpec, deployment

EVENTS = {
    "brake_s": "first braking command",
    "zero_s": "command is zero",
    "standing_s": "robot under 0.02 m/s",
    "driving_again_s": "drives again (restart included)",
}


def measure(args: argparse.Namespace, bundle: Path) -> dict[str, Any]:
    """Run the graph in real time, kill `args.victim` `args.repeats` times; times in seconds."""
    from safe_o2o_ros.domain import private_domain
    from safe_o2o_ros.processes import Processes

    graph = deployment(
        DeployOptions(
            sim=True,
            task=args.task,
            bundle=str(bundle),
            seed=40_000,
            enable_stamped_cmd_vel=True,
            use_respawn=True,
        )
    )
    parameters = {"victim": args.victim, "repeats": args.repeats}
    probe = NodeSpec("stop_probe", PACKAGE, "stop_probe", parameters, essential=True)
    graph = dataclasses.replace(graph, nodes=(*graph.nodes, probe))
    found: list[dict[str, Any]] = []

    def sink(node: str, line: str, stdout: bool) -> None:
        if node == "stop_probe" and stdout and line.startswith("{"):
            said = json.loads(line)
            if "kill" in said:
                os.kill(processes.pid(said["kill"]), signal.SIGKILL)
            else:
                found.extend(said["stops"])

    with private_domain():
        processes = Processes(graph, sink)
        processes.run()
    if not found:
        raise GraphError("the probe ended without a result: run it again")
    return {
        "victim": args.victim,
        "kills": len(found),
        "late_input": sorted({s["late_input"] for s in found}),
        "after_last_message_s": {name: _summary([s[name] for s in found if name in s]) for name in EVENTS},
        "stops": found,
    }


def _summary(times: list[float]) -> dict[str, float]:
    """Fewer times than kills: the restarted node was quicker than the event."""
    if not times:
        return {"count": 0, "p50": float("nan"), "max": float("nan")}
    return {
        "count": len(times),
        "p50": round(float(np.percentile(times, 50)), 3),
        "max": round(float(np.max(times)), 3),
    }


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    named = ", ".join(result["late_input"])
    table = Table(title=f"{result['kills']} kills of {result['victim']}; late input named: {named}")
    for column in ("seconds after its last message", "seen", "p50", "max"):
        table.add_column(column, justify="left" if "after" in column else "right")
    for name, text in EVENTS.items():
        row = result["after_last_message_s"][name]
        table.add_row(text, str(row["count"]), f"{row['p50']:.3f}", f"{row['max']:.3f}")
    Console().print(table)
