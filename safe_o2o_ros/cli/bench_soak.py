"""`safe-o2o bench soak`: does the real-time graph stay as it is for as long as a robot drives?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from safe_o2o_ros.errors import GraphError
from safe_o2o_ros.graph import DeployOptions, deployment
from safe_o2o_ros.manifest import read_manifest
from safe_o2o_ros.processes import Processes

_LONGEST_WARM_UP_S = 10.0
_MOST_WINDOWS = 180
_SHORTEST_WINDOW_S = 1.0
GROWTH_MB_H = 1.0
"""Growth that the trend's whole interval must exceed to be called one, MB per hour."""
_SETTLING_SHARE = 0.2
"""First share of the run that is left out of the trend: caches fill, episodes of every kind come by."""


def measure(args: argparse.Namespace, bundle: Path) -> dict[str, Any]:
    """Drive for `args.minutes`; memory by node, answers by window, and what they come to."""
    from safe_o2o_ros.cli.bench_graph import run_probed

    manifest = read_manifest(bundle)
    seconds = args.minutes * 60.0
    window_s = max(_SHORTEST_WINDOW_S, seconds / _MOST_WINDOWS)
    graph = deployment(
        DeployOptions(
            sim=True,
            task=args.task,
            bundle=str(bundle),
            seed=40_000,
            enable_stamped_cmd_vel=True,
            use_monitor=True,
        )
    )
    parameters = {
        "camera": manifest.image.cameras[-1],
        "seconds": seconds,
        "window": window_s,
        "warm_up": min(_LONGEST_WARM_UP_S, 0.2 * seconds),
    }
    names = [*(node.name for node in graph.nodes), "soak_probe"]
    windows: list[dict[str, Any]] = []

    def said(processes: Processes, window: dict[str, Any]) -> None:
        pids = {name: processes.pid(name) for name in names}
        window["rss_mb"] = {name: resident_mb(pid) for name, pid in pids.items()}
        window["shm_mb"] = shared_mb(pids.values())
        windows.append(window)

    run_probed(graph, "soak_probe", parameters, said)
    if not windows:
        raise GraphError("the probe ended without a result: run it again, longer")
    return {
        "task": args.task,
        "bundle": manifest.version,
        "minutes": args.minutes,
        "period_ms": manifest.period_s * 1e3,
        **conclude(windows, manifest.period_s * 1e3),
        "windows": windows,
    }


def resident_mb(pid: int) -> float:
    """Memory a process has in RAM, MB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) * 1024 / 1e6, 3)
    raise GraphError(f"process {pid} of the graph has ended: read its messages above")


def shared_mb(pids: Any) -> float:
    """Size of everything under /dev/shm that these processes have mapped, MB."""
    spans: dict[str, int] = {}
    for pid in pids:
        for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
            fields = line.split(maxsplit=5)
            if len(fields) == 6 and fields[5].startswith("/dev/shm/"):
                low, high = (int(end, 16) for end in fields[0].split("-"))
                spans[fields[5]] = max(spans.get(fields[5], 0), high - low)
    return round(sum(spans.values()) / 1e6, 3)


def conclude(windows: list[dict[str, Any]], period_ms: float) -> dict[str, Any]:
    """Growth, late ticks and the latency's steadiness, from the windows in order."""
    times_s = [w["end_s"] for w in windows]
    parts = [w["latencies_ms"] for w in windows]
    latencies = np.concatenate([np.asarray(part, np.float64) for part in parts])
    if not latencies.size:
        raise GraphError("no frame was answered: read the messages of the nodes above")
    third = max(1, len(parts) // 3)
    first, last = np.concatenate(parts[:third]), np.concatenate(parts[-third:])
    reasons: dict[str, int] = {}
    for window in windows:
        for reason, count in window["reasons"].items():
            reasons[reason] = reasons.get(reason, 0) + count
    return {
        "memory": {
            name: trend(times_s, [w["rss_mb"][name] for w in windows]) for name in windows[0]["rss_mb"]
        },
        "shm": trend(times_s, [w["shm_mb"] for w in windows]),
        "frames": int(latencies.size),
        "late_ticks": int(np.count_nonzero(latencies > period_ms)),
        "unanswered": sum(w["unanswered"] for w in windows),
        "latency_ms": {"p50": _percentile(latencies, 50), "p99": _percentile(latencies, 99)}
        | {"max": round(float(latencies.max()), 3)},
        "p99_first_third_ms": _percentile(first, 99),
        "p99_last_third_ms": _percentile(last, 99),
        "simulator": windows[-1]["sim"] | {"rtf_min": min(w["rtf"] or 1.0 for w in windows)},
        "reasons": reasons,
    }


def trend(times_s: list[float], values_mb: list[float]) -> dict[str, Any]:
    """Slope in MB per hour with its 95 % interval; `grows` when the interval lies above GROWTH_MB_H.

    Ordinary least squares after the settling share; neighbouring residuals are alike, so the interval
    is widened by their correlation (AR(1): n (1 - r) / (1 + r) of n samples are independent).
    """
    kept = slice(int(_SETTLING_SHARE * len(times_s)), None)
    hours, values = np.asarray(times_s[kept]) / 3600.0, np.asarray(values_mb[kept])
    found: dict[str, Any] = {"first_mb": values_mb[0], "last_mb": values_mb[-1]}
    if len(hours) < 4:
        return found | {"mb_per_hour": None, "interval": None, "grows": None}
    centred = hours - hours.mean()
    slope = float(centred @ values / (centred @ centred))
    residuals = values - values.mean() - slope * centred
    power = float(residuals @ residuals)
    alike = float(np.clip(residuals[1:] @ residuals[:-1] / power, 0.0, 0.99)) if power > 0.0 else 0.0
    independent = max(len(hours) * (1.0 - alike) / (1.0 + alike), 3.0)
    spread = 1.96 * np.sqrt(power / (independent - 2.0) / (centred @ centred))
    low, high = slope - float(spread), slope + float(spread)
    interval = [round(low, 3), round(high, 3)]
    return found | {"mb_per_hour": round(slope, 3), "interval": interval, "grows": low > GROWTH_MB_H}


def _percentile(values: Any, percent: float) -> float:
    return round(float(np.percentile(values, percent)), 3)


def show(result: dict[str, Any]) -> None:
    """Print the tables."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"memory over {result['minutes']:g} min, {result['task']}, {result['bundle']}")
    for column in ("process", "first MB", "last MB", "MB/h", "95 %"):
        table.add_column(column, justify="left" if column == "process" else "right")
    for name, row in (*result["memory"].items(), ("/dev/shm, mapped by them", result["shm"])):
        slope = ["-", "-"]
        if row["mb_per_hour"] is not None:
            slope = [f"{row['mb_per_hour']:+.2f}", "{:+.2f} .. {:+.2f}".format(*row["interval"])]
        table.add_row(name, f"{row['first_mb']:.1f}", f"{row['last_mb']:.1f}", *slope)
    console = Console()
    console.print(table)
    latency, sim = result["latency_ms"], result["simulator"]
    for line in (
        f"{result['frames']} frames answered; later than one period ({result['period_ms']:g} ms): "
        f"{result['late_ticks']}; never: {result['unanswered']}",
        f"image to command: p50 {latency['p50']:.2f}, p99 {latency['p99']:.2f}, max {latency['max']:.2f} ms; "
        f"p99 of the first third {result['p99_first_third_ms']:.2f}, of the last "
        f"{result['p99_last_third_ms']:.2f} ms",
        "simulator: " + ", ".join(f"{name} {value:g}" for name, value in sim.items()),
    ):
        console.print(line, highlight=False)
