"""`safe-o2o bench stop`: kill a node of the driving graph with SIGKILL and time the stop."""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np

from safe_o2o_ros.errors import GraphError
from safe_o2o_ros.graph import PACKAGE, DeployOptions, Graph, NodeSpec, deployment
from safe_o2o_ros.manifest import Manifest, read_manifest
from safe_o2o_ros.processes import Processes
from safe_o2o_ros.types import Mode

VICTIMS = ("camera", "encoder", "policy", "filter", "operator")
"""What can be killed. The filter's own death is answered by the base, all others by the filter."""
EVENTS = {
    "brake_s": "brakes",
    "zero_s": "zero",
    "standing_s": "stands",
    "driving_again_s": "again",
}
"""Times measured and their columns: first braking command, first zero, robot under 0.02 m/s, drives again."""
INPUT_TIMEOUT_S = 0.5
"""image_timeout and teleop_timeout of the filter, cmd_vel_timeout of the base."""
_TICK_S = 0.05
_RESPAWN_S = 3.0
"""Long enough to see the robot stand before the victim returns, seconds."""


def measure(args: argparse.Namespace, bundle: Path) -> dict[str, Any]:
    """Kill each victim asked for `args.repeats` times; a summary per victim, times in seconds."""
    manifest = read_manifest(bundle)
    names = VICTIMS if args.victim == "all" else (args.victim,)
    return {
        "task": args.task,
        "bundle": manifest.version,
        "victims": {name: _measure(name, args, bundle, manifest) for name in names},
    }


def graph_for(victim: str, task: str, bundle: Path, manifest: Manifest) -> Graph:
    """The real-time graph in which `victim` drives, or helps to."""
    options = DeployOptions(
        sim=True,
        task=task,
        bundle=str(bundle),
        seed=40_000,
        enable_stamped_cmd_vel=True,
        use_respawn=True,
        use_monitor=False,
    )
    if victim == "operator":
        # Nobody else may drive on in the operator's place.
        graph = deployment(dataclasses.replace(options, mode=Mode.LIMITS_ONLY.value))
        kept = [node for node in graph.nodes if node.name in ("sim_node", "safety_filter_node")]
        adapter = manifest.adapter
        half = adapter.to_twist(adapter.raw(np.full(adapter.action_dim, 0.5, np.float32)))
        asked = {"linear": half["linear.x"], "angular": half["angular.z"]}
        operator = NodeSpec("operator_probe", PACKAGE, "operator_probe", asked, respawn=True)
        return dataclasses.replace(graph, nodes=(*kept, operator))
    graph = deployment(options)
    return _with_camera_node(graph, manifest.image.cameras) if victim == "camera" else graph


def _with_camera_node(graph: Graph, cameras: tuple[str, ...]) -> Graph:
    """The simulator's cameras as drivers of their own, camera_node between them and the encoder."""
    moved = [
        (f"{camera}/{topic}", f"driver/{camera}/{topic}")
        for camera in cameras
        for topic in ("image_raw", "camera_info")
    ]
    parameters: dict[str, Any] = {"cameras": list(cameras)}
    parameters |= {f"{camera}.topic": f"driver/{camera}/image_raw" for camera in cameras}
    camera_node = NodeSpec("camera_node", PACKAGE, "camera_node", parameters, respawn=True)
    nodes = [
        dataclasses.replace(node, remaps=(*node.remaps, *moved)) if node.name == "sim_node" else node
        for node in graph.nodes
    ]
    return dataclasses.replace(graph, nodes=(*nodes, camera_node))


def _measure(victim: str, args: argparse.Namespace, bundle: Path, manifest: Manifest) -> dict[str, Any]:
    from safe_o2o_ros.cli.bench_graph import run_probed

    graph = graph_for(victim, args.task, bundle, manifest)
    parameters = {"victim": victim, "repeats": args.repeats, "camera": manifest.image.cameras[-1]}
    found: list[dict[str, Any]] = []

    def said(processes: Processes, line: dict[str, Any]) -> None:
        if "kill" in line:
            os.kill(processes.pid(line["kill"]), signal.SIGKILL)
        else:
            found.extend(line["stops"])

    run_probed(graph, "stop_probe", parameters, said, respawn_s=_RESPAWN_S)
    if not found:
        raise GraphError("the probe ended without a result: run it again")
    return {
        "kills": len(found),
        "late_input": sorted({s["late_input"] for s in found if "late_input" in s}),
        "bound_s": _bounds(victim, manifest),
        "after_last_message_s": {name: _summary([s[name] for s in found if name in s]) for name in EVENTS},
        "stops": found,
    }


def _bounds(victim: str, manifest: Manifest) -> dict[str, float]:
    """What the design promises, seconds after the last valid input; a robot that coasts has no bound."""
    if victim == "filter":
        # The base notices by itself, within its control period.
        begun, last = "standing_s", INPUT_TIMEOUT_S + manifest.period_s
    else:
        begun, last = "zero_s", INPUT_TIMEOUT_S + 2 * _TICK_S
    adapter = manifest.adapter
    braking = 1.0 / min(adapter.max_decel)
    bounds = {} if victim == "filter" else {"brake_s": last}
    if adapter.brake == "velocity" and np.isfinite(braking):
        bounds[begun] = round(last + braking, 3)
    return bounds


def _summary(times: list[float]) -> dict[str, float]:
    """Fewer times than kills: the restarted node was quicker than the event, or the event cannot be."""
    if not times:
        return {"count": 0}
    return {
        "count": len(times),
        "p50": round(float(np.percentile(times, 50)), 3),
        "max": round(float(np.max(times)), 3),
    }


def show(result: dict[str, Any]) -> None:
    """Print one table for all victims."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"seconds after the victim's last message, {result['bundle']}")
    for column in ("killed", "times", "named", "", *EVENTS.values()):
        table.add_column(
            column, justify="left" if column in ("killed", "named", "") else "right", no_wrap=True
        )
    for victim, found in result["victims"].items():
        cells = []
        for name in EVENTS:
            row, bound = found["after_last_message_s"][name], found["bound_s"].get(name)
            lines = [f"{row['p50']:.3f}", f"{row['max']:.3f}"] if row["count"] else ["-", "-"]
            lines.append("" if bound is None else f"{bound:.3f}")
            # Not every kill shows every event: the restarted victim may be quicker.
            lines.append(f"({row['count']} seen)" if 0 < row["count"] < found["kills"] else "")
            cells.append("\n".join(lines).rstrip("\n"))
        named = "\n".join(found["late_input"])
        table.add_row(victim, str(found["kills"]), named, "p50\nmax\nbound", *cells)
        table.add_section()
    Console().print(table)
