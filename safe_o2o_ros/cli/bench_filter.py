"""`safe-o2o bench filter`: time and memory of one decision, without ROS."""

from __future__ import annotations

import argparse
import math
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from safe_o2o_ros.cli.training import bars
from safe_o2o_ros.errors import UsageError

CANDIDATES = (123, 256)
"""About what the filter scores by default, and as many as a bound is stated for."""


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Time decisions of a bundle on random latents. Raises UsageError and what a bundle raises."""
    from safe_o2o_ros.bundle import SAFETY, load_bundle
    from safe_o2o_ros.graph import default_bundle
    from safe_o2o_ros.safety.bundled import bundle_filter
    from safe_o2o_ros.safety.filter import FilterConfig, FilterInputs
    from safe_o2o_ros.safety.recovery import RecoveryConfig
    from safe_o2o_ros.types import Latent, Proposal

    if args.steps < 1000:
        raise UsageError(f"--steps must be at least 1000, got {args.steps}")
    bundle = load_bundle(args.bundle or default_bundle(args.task), (SAFETY,), task=args.task)
    manifest, rows = bundle.manifest, {}
    rng = np.random.default_rng(0)
    # Signs of novelty are zero: nothing is new, so that the critics are asked every time.
    features = rng.normal(0.0, 0.5, (64, manifest.latent.size)).astype(np.float32)
    features[:, -3:] = 0.0 if manifest.latent.novelty else features[:, -3:]
    wishes = manifest.adapter.raw(
        rng.uniform(-1.0, 1.0, (64, manifest.adapter.action_dim)).astype(np.float32)
    )
    with bars(Console()) as report:
        for least in CANDIDATES:
            grid = math.ceil((least - 2) ** (1.0 / manifest.adapter.action_dim) - 1e-9)
            subject = bundle_filter(
                bundle,
                FilterConfig(
                    brake_dt_s=manifest.period_s, grid=grid, recovery=RecoveryConfig(stuck_s=math.inf)
                ),
            )
            took, memory, candidates = np.empty(args.steps), [], 0
            for step in range(args.steps):
                stamp_ns = (step + 1) * 80_000_000
                latent = Latent(stamp_ns, bundle.version, features[step % 64], 0.0)
                proposal = Proposal(stamp_ns, wishes[step % 64], "offline")
                begin = time.perf_counter()
                decision = subject.decide(FilterInputs(True, latent, proposal))
                took[step] = time.perf_counter() - begin
                candidates = max(candidates, decision.candidates)
                if step % (args.steps // 10) == 0 or step == args.steps - 1:
                    memory.append(_memory_bytes())
                    report(f"{least} candidates", step + 1, args.steps, {})
            rows[str(least)] = {
                "candidates": candidates,
                "p50_ms": 1e3 * float(np.percentile(took, 50)),
                "p99_ms": 1e3 * float(np.percentile(took, 99)),
                "worst_ms": 1e3 * float(took.max()),
                # The first tenth fills caches.
                "growth_bytes": int(memory[-1] - memory[1]),
            }
    return {"task": args.task, "bundle": bundle.version, "steps": args.steps, "decisions": rows}


def _memory_bytes() -> int:
    """Resident memory of this process now; its peak where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    from rich.table import Table

    table = Table(title=f"{result['bundle']}, {result['steps']} decisions on one core")
    for column in ("candidates", "p50, ms", "p99, ms", "worst, ms", "memory grown, kB"):
        table.add_column(column, justify="right")
    for row in result["decisions"].values():
        times = [f"{row[key]:.2f}" for key in ("p50_ms", "p99_ms", "worst_ms")]
        table.add_row(str(row["candidates"]), *times, f"{row['growth_bytes'] / 1024:.0f}")
    Console().print(table)
