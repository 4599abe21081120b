"""`safe-o2o bench`: latency, stops, soak, recording, crashes, changes, rendering, training, and more."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from safe_o2o_ros.cli.output import write_json
from safe_o2o_ros.errors import GraphError, UsageError
from safe_o2o_ros.graph import DeployOptions, default_bundle, deployment

HOPS = (
    ("camera: capture -> image published", None, "image"),
    ("encoder: image -> latent", "image", "latent"),
    ("policy: latent -> cmd_vel_nominal", "latent", "nominal"),
    ("filter: cmd_vel_nominal -> cmd_vel", "nominal", "cmd_vel"),
    ("delivery: cmd_vel published -> received", "cmd_vel", "cmd_vel_received"),
    ("total: image published -> cmd_vel received", "image", "cmd_vel_received"),
)
"""Name, event it starts at (None = capture), event it ends at."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the subcommand."""
    parser.add_argument(
        "what",
        choices=(
            "latency",
            "stop",
            "soak",
            "record",
            "crash",
            "render",
            "training",
            "reachability",
            "novelty",
            "filter",
            "swap",
            "rc-car",
            "realsense",
        ),
        help="what to measure",
    )
    parser.add_argument("--task", default="PointGoal1", help="simulated task (default: PointGoal1)")
    parser.add_argument("--bundle", type=Path, help="directory of a model bundle (default: the task's own)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=20.0,
        help="latency, render: how long; realsense: to record; swap: without changes, first (default: 20)",
    )
    parser.add_argument("--swaps", type=int, default=50, help="swap: changes of bundle (default: 50)")
    parser.add_argument(
        "--finetune", action="store_true", help="swap: recorder and learner run beside it, the learner learns"
    )
    parser.add_argument(
        "--victim",
        choices=("camera", "encoder", "policy", "filter", "operator", "all"),
        default="encoder",
        help="stop: what is killed with SIGKILL (default: encoder)",
    )
    parser.add_argument("--repeats", type=int, default=20, help="stop, training: how often (default: 20)")
    parser.add_argument("--rounds", type=int, default=100, help="crash: kills (default: 100)")
    parser.add_argument("--learner", help="crash: command of another learner (default: the package's)")
    parser.add_argument("--minutes", type=float, default=30.0, help="soak, record: how long (default: 30)")
    parser.add_argument(
        "--plot",
        type=Path,
        help="soak, reachability, rc-car: draw it here (default: soak.png, avoid_set.png, OUT/rc_car.png)",
    )
    parser.add_argument(
        "--states", type=int, help="reachability: so many states at random (default: the whole grid of 41^3)"
    )
    parser.add_argument(
        "--train",
        action="store_true",
        help="reachability: repeat the training, into --out (about 15 minutes)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="reachability: directory of the bundle that --train writes; rc-car: of stores and checkpoints; "
        "record: on the disk to measure (default: the temporary one)",
    )
    parser.add_argument("--data", type=Path, help="rc-car: folder of the recordings segA and segE")
    parser.add_argument(
        "--no-shift", action="store_true", help="rc-car: leave the actuation delay in, see docs/recordings.md"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="rc-car: as for pretrain, repeatable"
    )
    parser.add_argument("--steps", type=int, default=100_000, help="filter: decisions (default: 100000)")
    parser.add_argument("--episodes", type=int, default=10, help="novelty: of each variant (default: 10)")
    parser.add_argument("--seed", type=int, default=40_000, help="novelty: first seed (default: 40000)")
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        help="render, novelty: processes (default: one a core)",
    )
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count() or 1, help="training: of torch (default: one a core)"
    )
    parser.add_argument("--json", type=Path, help="write the result here")


def run(args: argparse.Namespace) -> int:
    """Measure, print a table, write JSON."""
    if not 0.5 <= args.seconds <= 3600.0:
        raise UsageError("--seconds must be between 0.5 and 3600")
    alone = {
        "render": _render,
        "training": _training,
        "reachability": _reachability,
        "novelty": _novelty,
        "filter": _filter,
        "rc-car": _rc_car,
        "realsense": _realsense,
        "record": _record,
    }
    result = alone.get(args.what, _of_a_bundle)(args)
    if args.json is not None:
        write_json(args.json, result, "result")
    return 0


def _render(args: argparse.Namespace) -> dict[str, Any]:
    """What needs the simulator alone."""
    from safe_o2o_ros.cli.extras import SIM, require

    require(SIM)
    from safe_o2o_ros.cli import bench_render

    result = bench_render.measure(args)
    bench_render.show(result)
    return result


def _training(args: argparse.Namespace) -> dict[str, Any]:
    """What needs torch alone."""
    from safe_o2o_ros.cli.extras import TRAIN, require

    require(TRAIN)
    if not 1 <= args.repeats <= 1000:
        raise UsageError("--repeats must be between 1 and 1000")
    from safe_o2o_ros.cli import bench_training

    result = bench_training.measure(args)
    bench_training.show(result)
    return result


def _reachability(args: argparse.Namespace) -> dict[str, Any]:
    """What needs a bundle and no graph."""
    from safe_o2o_ros.cli.extras import EXACT, INFERENCE, SIM, require

    require(SIM, INFERENCE, EXACT)  # before, not after minutes of training
    from safe_o2o_ros.cli import bench_reachability

    result = bench_reachability.measure(args, args.plot or Path("avoid_set.png"))
    bench_reachability.show(result)
    return result


def _rc_car(args: argparse.Namespace) -> dict[str, Any]:
    """What needs torch and the real recordings."""
    from safe_o2o_ros.cli.extras import TRAIN, require

    require(TRAIN)
    from safe_o2o_ros.cli import bench_rc_car

    result = bench_rc_car.measure(args)
    bench_rc_car.show(result)
    return result


def _realsense(args: argparse.Namespace) -> dict[str, Any]:
    """What needs librealsense alone."""
    from safe_o2o_ros.cli import bench_realsense

    result = bench_realsense.measure(args)
    bench_realsense.show(result)
    return result


def _novelty(args: argparse.Namespace) -> dict[str, Any]:
    """What drives a bundle without a graph."""
    from safe_o2o_ros.cli.extras import INFERENCE, SIM, require

    require(SIM, INFERENCE)
    from safe_o2o_ros.cli import bench_novelty

    result = bench_novelty.measure(args)
    bench_novelty.show(result)
    return result


def _record(args: argparse.Namespace) -> dict[str, Any]:
    """What needs ROS alone."""
    from safe_o2o_ros.cli.extras import BAGS, ROS, require

    require(ROS, BAGS)
    if not 0.1 <= args.minutes <= 10_000.0:
        raise UsageError("--minutes must be between 0.1 and 10000")
    from safe_o2o_ros.cli import bench_record

    result = bench_record.measure(args)
    bench_record.show(result)
    return result


def _filter(args: argparse.Namespace) -> dict[str, Any]:
    """What needs a bundle and nothing else."""
    from safe_o2o_ros.cli.extras import INFERENCE, require

    require(INFERENCE)
    from safe_o2o_ros.cli import bench_filter

    result = bench_filter.measure(args)
    bench_filter.show(result)
    return result


def _of_a_bundle(args: argparse.Namespace) -> dict[str, Any]:
    """What drives the graph with a bundle."""
    from safe_o2o_ros.bundle import load_bundle
    from safe_o2o_ros.cli.extras import INFERENCE, ROS, SIM, TRAIN, require

    require(ROS, SIM, INFERENCE)
    path = args.bundle or default_bundle(args.task)
    bundle = load_bundle(path, task=args.task)
    if args.what == "stop":
        from safe_o2o_ros.cli import bench_stop

        if not 1 <= args.repeats <= 1000:
            raise UsageError("--repeats must be between 1 and 1000")
        result = bench_stop.measure(args, path)
        bench_stop.show(result)
    elif args.what == "crash":
        from safe_o2o_ros.cli import bench_crash

        if not 1 <= args.rounds <= 100_000:
            raise UsageError("--rounds must be between 1 and 100000")
        if not args.learner:
            require(TRAIN)
        result = bench_crash.measure(args, path)
        bench_crash.show(result)
    elif args.what == "swap":
        from safe_o2o_ros.cli import bench_swap

        if not 1 <= args.swaps <= 1000:
            raise UsageError("--swaps must be between 1 and 1000")
        if args.finetune:
            require(TRAIN)
        result = bench_swap.measure(args, path)
        bench_swap.show(result)
    elif args.what == "soak":
        from safe_o2o_ros.cli import bench_soak
        from safe_o2o_ros.report.soak_plot import write_soak_plot

        if not 0.1 <= args.minutes <= 10_000.0:
            raise UsageError("--minutes must be between 0.1 and 10000")
        result = bench_soak.measure(args, path)
        bench_soak.show(result)
        write_soak_plot(args.plot or Path("soak.png"), result)
    else:
        result = _latency(args, path, bundle)
        _print(result)
    return result


def _latency(args: argparse.Namespace, path: Path, bundle: Any) -> dict[str, Any]:
    """The graph's hops and the bare networks, in one run."""
    measured = _measure_graph(args, path, bundle.manifest.image.cameras[-1])
    rows = measured["frames"]
    if not rows:
        raise GraphError("no frame was answered in the time: measure longer with --seconds")
    return {
        "bundle": bundle.version,
        "task": args.task,
        "control_period_ms": bundle.manifest.period_s * 1e3,
        "frames": len(rows),
        "reasons": measured["reasons"],
        "graph_ms": {name: _summary(_hop(rows, start, end)) for name, start, end in HOPS},
        # Directly after the graph and at its pace: a processor that rests between frames is slower than
        # one that runs back to back.
        "bare_onnx_ms": _measure_bare(bundle, len(rows), paced=True),
        "bare_onnx_back_to_back_ms": _measure_bare(bundle, 200, paced=False),
    }


def _measure_graph(args: argparse.Namespace, bundle: Path, camera: str) -> dict[str, Any]:
    """Events per frame, nanoseconds after capture, from a real-time graph in processes."""
    from safe_o2o_ros.cli.bench_graph import run_probed

    graph = deployment(
        DeployOptions(sim=True, task=args.task, bundle=str(bundle), seed=40_000, enable_stamped_cmd_vel=True)
    )
    parameters = {"camera": camera, "seconds": args.seconds}
    found: list[dict[str, Any]] = []
    run_probed(graph, "latency_probe", parameters, lambda _, result: found.append(result))
    if not found:
        raise GraphError("the probe ended without a result: run it again with `safe-o2o deploy --sim true`")
    return found[0]


def _hop(rows: list[dict[str, int]], start: str | None, end: str) -> list[float]:
    """Milliseconds per frame."""
    return [(row[end] - (row[start] if start is not None else 0)) / 1e6 for row in rows]


def _measure_bare(bundle: Any, steps: int, paced: bool) -> dict[str, dict[str, float]]:
    """The bundle's networks in the order of the graph, random images, no ROS; with their total."""
    from safe_o2o_ros.perception.encoder import RecurrentEncoder
    from safe_o2o_ros.policy.policy import ExpansionPolicy
    from safe_o2o_ros.safety.filter import FilterConfig, FilterInputs, SafetyFilter
    from safe_o2o_ros.safety.risk import BundleRisk
    from safe_o2o_ros.types import FrameSet

    manifest = bundle.manifest
    spec = manifest.image
    encoder, policy = RecurrentEncoder(bundle), ExpansionPolicy(bundle)
    config = FilterConfig(brake_dt_s=manifest.period_s)
    safety = SafetyFilter(
        manifest.adapter, config, BundleRisk(bundle), manifest.thresholds.risk, bundle.version
    )
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (8, spec.height, spec.width, spec.channels), np.uint8)
    state, policy_state, action = encoder.initial(), policy.initial(), manifest.adapter.zero()
    times: dict[str, list[float]] = {"encoder": [], "policy": [], "filter": [], "total": []}
    wait = _pace(manifest.period_s) if paced else lambda: None
    for step in range(steps + 5):
        wait()
        start = time.perf_counter()
        state, latent = encoder.step(state, FrameSet(step + 1, images[step % 8]), action)
        encoded = time.perf_counter()
        policy_state, proposal = policy.step(policy_state, latent)
        proposed = time.perf_counter()
        action = safety.decide(FilterInputs(True, latent, proposal)).action
        end = time.perf_counter()
        if step >= 5:
            spans = (encoded - start, proposed - encoded, end - proposed, end - start)
            for name, span in zip(times, spans, strict=True):
                times[name].append(span * 1e3)
    return {name: _summary(values) for name, values in times.items()}


def _pace(period_s: float) -> Callable[[], None]:
    """A wait for the next multiple of the control period."""
    from threading import Event

    never, start = Event(), time.perf_counter()

    def wait() -> None:
        never.wait(period_s - (time.perf_counter() - start) % period_s)

    return wait


def _summary(values: list[float]) -> dict[str, float]:
    return {
        "p50": round(float(np.percentile(values, 50)), 3),
        "p99": round(float(np.percentile(values, 99)), 3),
        "max": round(float(np.max(values)), 3),
    }


def _print(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"latency, {result['frames']} frames, bundle {result['bundle']}, milliseconds")
    for column in ("hop", "p50", "p99", "max"):
        table.add_column(column, justify="left" if column == "hop" else "right")
    groups = (
        ("", result["graph_ms"]),
        ("bare ONNX, paced: ", result["bare_onnx_ms"]),
        ("bare ONNX, back to back: ", result["bare_onnx_back_to_back_ms"]),
    )
    for prefix, rows in groups:
        for name, row in rows.items():
            table.add_row(prefix + name, *(f"{row[k]:.2f}" for k in ("p50", "p99", "max")))
        table.add_section()
    Console().print(table)
