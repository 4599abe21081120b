"""`safe-o2o bench swap`: change the bundle of the driving graph many times; is a tick lost or late?

With `--finetune` the recorder and the learner run beside it: the time before the changes is measured twice,
while the learner waits and while it learns, and it goes on learning through the changes.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from safe_o2o_ros.bundle import versioned, write_bundle
from safe_o2o_ros.errors import GraphError
from safe_o2o_ros.graph import DeployOptions, deployment
from safe_o2o_ros.manifest import Manifest, read_manifest

LATE_MS = 20.0
"""An answer that comes so much later than the median without changes is late."""
_AFTER_NS = 500_000_000
_EARLY = 0.9
"""Share of the period: a frame that follows another sooner may be left out."""
_PARTS = ("before", "learning", "changing")
_DOC_STRING = 0x32
"""ONNX is a protocol buffer: this tag adds a `doc_string` to a model, which changes its hash and no more."""


def measure(args: argparse.Namespace, bundle: Path) -> dict[str, Any]:
    """Drive, change `args.swaps` times to a bundle whose every network has to be loaded anew, compare."""
    from safe_o2o_ros.cli.bench_graph import run_probed

    manifest = read_manifest(bundle)
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="safe_o2o_swap-") as name:
        folder = Path(name)
        graph = deployment(
            DeployOptions(
                sim=True,
                task=args.task,
                bundle=str(bundle),
                seed=40_000,
                enable_stamped_cmd_vel=True,
                use_monitor=False,
                finetune=args.finetune,
                experience_dir=str(folder / "experience") if args.finetune else None,
            )
        )
        write_variants(bundle, manifest, folder / "bundles", args.swaps)
        parameters = {
            "camera": manifest.image.cameras[-1],
            "bundles": str(folder / "bundles"),
            "before": args.seconds,
            "pause": 0.5,
            "learner": args.finetune,
        }
        run_probed(graph, "swap_probe", parameters, lambda _, result: found.append(result))
    if not found:
        raise GraphError("the probe ended without a result: run it again")
    return {
        "task": args.task,
        "bundle": manifest.version,
        "period_ms": manifest.period_s * 1e3,
        **conclude(found[0], manifest.period_s * 1e3),
    }


def write_variants(source: Path, manifest: Manifest, folder: Path, count: int) -> None:
    """Bundles that do what `source` does, of other versions and with other bytes."""
    for number in range(count):
        text = f"variant {number}".encode()
        mark = bytes([_DOC_STRING, len(text)]) + text
        files = {
            name: (source / name).read_bytes() + (mark if name.endswith(".onnx") else b"")
            for name in manifest.files
        }
        child = dataclasses.replace(manifest, parent=manifest.version)
        write_bundle(folder / f"{number:04d}", versioned(child, files), files)


def conclude(found: dict[str, Any], period_ms: float) -> dict[str, Any]:
    """Lost, doubled and late ticks, without changes and between an offer and half a second after the change.

    `found`: what the swap probe wrote. Where a learner ran beside it, "before" is the time in which it waited
    and "learning" that in which it learned.

    A tick is a frame for the encoder. One that comes early after a late one (a simulator that stalled) is
    none: the encoder takes one frame a period.
    """
    spans = [(c["from_ns"], c["to_ns"] + _AFTER_NS) for c in found["changes"]]
    first_ns = spans[0][0] if spans else 0
    quiet = found.get("spans", {})
    counts = {part: {"ticks": 0, "lost": 0, "answered_twice": 0, "early_frames": 0} for part in _PARTS}
    latencies: dict[str, list[float]] = {part: [] for part in _PARTS}
    before_ns = 0
    for frame in found["frames"]:
        at, answers = frame["image_ns"], frame["answers_ns"]
        gap_ms, before_ns = (frame["stamp_ns"] - before_ns) / 1e6, frame["stamp_ns"]
        changing = any(start <= at <= end for start, end in spans)
        part = _quiet_part(at, first_ns, quiet) or ("changing" if changing else "")
        if not part:
            continue
        if not frame["latent"] and gap_ms < _EARLY * period_ms:
            counts[part]["early_frames"] += 1
            continue
        counts[part]["ticks"] += 1
        counts[part]["lost"] += not answers
        counts[part]["answered_twice"] += len(answers) > 1
        latencies[part] += [(min(answers) - at) / 1e6] if answers else []
    if not latencies["before"] or not latencies["changing"]:
        raise GraphError("no frame was answered: read the messages of the nodes above")
    if not latencies["learning"]:
        del latencies["learning"]
    usual = float(np.median(latencies["before"]))
    took = [(c["to_ns"] - c["from_ns"]) / 1e6 for c in found["changes"]]
    return {
        "swaps": len(spans),
        "change_ms": _summary(took),
        "reasons": found["reasons"],
        **{
            part: {
                **counts[part],
                "latency_ms": _summary(latencies[part]),
                "late_share": round(float(np.mean(np.asarray(latencies[part]) > usual + LATE_MS)), 5),
            }
            for part in latencies
        },
        "updates": found.get("updates", 0),
    }


def _quiet_part(at_ns: int, first_ns: int, spans: dict[str, list[int]]) -> str:
    """The part without changes that a frame of `at_ns` belongs to, "" if to none."""
    if not spans:
        return "before" if at_ns < first_ns else ""
    names = {"paused": "before", "learning": "learning"}
    return next((names[stage] for stage, (start, end) in spans.items() if start <= at_ns <= end), "")


def _summary(values: list[float]) -> dict[str, float]:
    points = {"p50": 50, "p99": 99, "max": 100}
    return {name: round(float(np.percentile(values, q)), 2) for name, q in points.items()}


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    title = f"{result['swaps']} changes of bundle, {result['task']}, {result['period_ms']:g} ms period"
    table = Table(title=title)
    columns = ("", "ticks", "lost", "answered twice", "p50 ms", "p99", "max", f"late by > {LATE_MS:g} ms")
    for column in columns:
        table.add_column(column, justify="right" if column else "left")
    for part in (p for p in _PARTS if p in result):
        row = result[part]
        numbers = [str(row[key]) for key in ("ticks", "lost", "answered_twice")]
        numbers += [f"{row['latency_ms'][key]:.2f}" for key in ("p50", "p99", "max")]
        table.add_row(part, *numbers, f"{100.0 * row['late_share']:.2f} %")
    console = Console()
    console.print(table)
    took = result["change_ms"]
    console.print(f"offer to change: p50 {took['p50']:.0f}, max {took['max']:.0f} ms", highlight=False)
