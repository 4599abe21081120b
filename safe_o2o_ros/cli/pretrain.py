"""`safe-o2o pretrain`: segment store -> bundle."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from safe_o2o_ros.errors import MissingExtraError, UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the subcommand."""
    parser.add_argument("--data", type=Path, required=True, help="segment store made by `safe-o2o collect`")
    parser.add_argument(
        "--calibration",
        type=Path,
        help="segment store of held-out episodes for the thresholds (default: the training data)",
    )
    parser.add_argument("--out", type=Path, required=True, help="directory of the bundle to write")
    parser.add_argument(
        "--method",
        choices=("fosp", "clone"),
        default="fosp",
        help="fosp, or the behaviour-cloning baseline (default: fosp)",
    )
    parser.add_argument("--config", default="small", help="debug, small (two CPU cores) or paper (a GPU)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override, e.g. world_model.steps=2000",
    )
    parser.add_argument(
        "--run-dir", type=Path, default=None, help="checkpoints, log and resolved config (default: OUT-run)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument(
        "--budget-minutes",
        type=float,
        default=float("inf"),
        help="stop the phase that trains on images after this many processor minutes",
    )


def run(args: argparse.Namespace) -> int:
    """Train (resuming where the run directory has checkpoints), export, verify, write."""
    try:
        import torch
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError("training needs torch: run `pip install safe_o2o_ros[train]`") from error
    from safe_o2o_ros.learning.calibrate import calibrate
    from safe_o2o_ros.learning.config import resolve
    from safe_o2o_ros.learning.dataset import load_dataset
    from safe_o2o_ros.learning.package import package, seed_ranges
    from safe_o2o_ros.learning.pictures import save_reconstructions
    from safe_o2o_ros.learning.pretrain import train, train_clone
    from safe_o2o_ros.world_model.model import WorldModel

    overrides = {}
    for item in args.set:
        key, separator, value = item.partition("=")
        if not separator:
            raise UsageError(f"--set takes KEY=VALUE, got '{item}'")
        overrides[key] = value
    config = resolve(args.config, overrides)
    device = args.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError("no CUDA device is available: use --device cpu")
    run_dir = args.run_dir or args.out.with_name(f"{args.out.name}-run")
    console = Console()
    with _bars(console) as report:
        dataset = load_dataset(
            args.data, config.world_model.length, lambda done, total: report("load", done, total, {})
        )
        writer = SummaryWriter(str(run_dir / "tensorboard"))

        def log(phase: str, step: int, scalars: dict[str, float]) -> None:
            for name, value in scalars.items():
                writer.add_scalar(f"{phase}/{name}", value, step)

        method = train if args.method == "fosp" else train_clone
        finished = method(config, dataset, run_dir, log, report, device, args.budget_minutes * 60.0)
        writer.close()
    seeds = {"training": seed_ranges(dataset)}
    held_out, source = dataset, "training episodes"
    if args.calibration is not None:
        held_out, source = load_dataset(args.calibration, 1), "held-out episodes"
        seeds["calibration"] = seed_ranges(held_out)
    thresholds = calibrate(finished.score(held_out), held_out, source)
    manifest, parity = package(finished, args.out, thresholds, seeds)
    worst = max(parity.per_step.values())
    console.print(
        f"bundle [bold]{manifest.version}[/bold] written to {args.out} "
        f"(ONNX against torch: {worst:.1e} per step, {parity.rollout:.1e} and {parity.category_flips} "
        f"category flips over {parity.steps} steps)"
    )
    if isinstance(finished.graphs.encoder, WorldModel):
        picture = run_dir / "reconstructions.png"
        save_reconstructions(finished.graphs.encoder, dataset, picture)
        console.print(f"what the world model sees and expects: {picture}")
    return 0


Report = Callable[[str, int, int, dict[str, float]], None]
"""report(phase, done, total, scalars)."""

_LINE_EVERY = 200
"""Updates between log lines where there is no terminal for bars."""


@contextlib.contextmanager
def _bars(console: Console) -> Iterator[Report]:
    """A progress bar for each phase; plain lines where the output is not a terminal."""
    columns = (
        TextColumn("{task.description:12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[scalars]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def report(phase: str, done: int, total: int, scalars: dict[str, float]) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total, scalars="")
            shown = "  ".join(f"{k} {v:.3g}" for k, v in list(scalars.items())[:7])
            bars.update(tasks[phase], completed=done, scalars=shown)
            if not console.is_terminal and (done % _LINE_EVERY == 0 or done == total):
                console.print(f"{phase} {done}/{total}  {shown}", soft_wrap=True)

        yield report
