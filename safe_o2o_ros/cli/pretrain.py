"""`safe-o2o pretrain`: segment store -> bundle."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from safe_o2o_ros.cli.training import bars, device_of, overrides_of
from safe_o2o_ros.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from safe_o2o_ros.learning.dataset import Dataset


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
    parser.add_argument(
        "--selection",
        metavar="FIRST-LAST",
        help="seeds on which settings were chosen, e.g. 10000-10019: noted in the bundle, refused in tests",
    )
    parser.add_argument(
        "--allow-no-cost",
        action="store_true",
        help="accept data in which nothing ever costs: the bundle drives, and its filter certifies nothing",
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
    from safe_o2o_ros.learning import distributed
    from safe_o2o_ros.learning.calibrate import calibrate, nothing_certified
    from safe_o2o_ros.learning.config import resolve
    from safe_o2o_ros.learning.dataset import load_dataset
    from safe_o2o_ros.learning.package import package, seed_ranges
    from safe_o2o_ros.learning.pictures import save_reconstructions
    from safe_o2o_ros.learning.pretrain import train, train_clone, without_safety
    from safe_o2o_ros.world_model.model import WorldModel

    config = resolve(args.config, overrides_of(args.set))
    device = device_of(args.device, torch.cuda.is_available())
    run_dir = _check(args)
    selection = None if args.selection is None else _seed_range(args.selection)
    with distributed.ranks(device) as device:
        leads = distributed.rank() == 0
        console = Console(quiet=not leads)
        with bars(console) as report:
            dataset = load_dataset(
                args.data, config.world_model.length, lambda done, total: report("load", done, total, {})
            )
            _warn(console, f"left out of {args.data}", dataset.skipped)
            reason = _no_safety(args, dataset)
            if reason is not None:
                _warn(console, "this bundle's filter will certify nothing", [reason])
            elif args.calibration is None:
                _warn(console, "no --calibration", [_OWN_DATA.format(len(dataset.start))])
            writer = SummaryWriter(str(run_dir / "tensorboard")) if leads else None

            def log(phase: str, step: int, scalars: dict[str, float]) -> None:
                assert writer is not None  # only the first process logs
                for name, value in scalars.items():
                    writer.add_scalar(f"{phase}/{name}", value, step)

            method = train if args.method == "fosp" else train_clone
            finished = method(config, dataset, run_dir, log, report, device, args.budget_minutes * 60.0)
            if writer is None:
                return 0  # the first process exports
            writer.close()
    seeds = {"training": seed_ranges(dataset)}
    held_out, source = dataset, "training episodes"
    if args.calibration is not None:
        held_out, source = load_dataset(args.calibration, 1), "held-out episodes"
        _warn(console, f"left out of {args.calibration}", held_out.skipped)
        seeds["calibration"] = seed_ranges(held_out)
    if selection is not None:
        seeds["selection"] = [selection]
    if reason is None:
        thresholds = calibrate(finished.score(held_out), held_out, source)
    else:
        finished = without_safety(finished)
        thresholds = nothing_certified(finished.score(held_out), held_out, source, reason)
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


_OWN_DATA = (
    "the thresholds will come from the {} training episodes themselves and promise too much; record others, "
    "e.g. with `safe-o2o collect --seed 20000`"
)
_MOST_WARNINGS = 20


def _warn(console: Console, title: str, sentences: Sequence[str]) -> None:
    """A paragraph on the console; nothing where there is nothing to say."""
    if not sentences:
        return
    more = len(sentences) - _MOST_WARNINGS
    lines = [*sentences[:_MOST_WARNINGS], *([f"and {more} more"] if more > 0 else [])]
    text = "\n".join([f"warning: {title}:", *(f"  {line}" for line in lines)])
    console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _no_safety(args: argparse.Namespace, dataset: Dataset) -> str | None:
    """Why the bundle will know no risk; None: it will. Also checks the calibration store before training.

    Raises UsageError where the data has no cost and nobody said that this is all right: thresholds from it
    would certify every command.
    """
    from safe_o2o_ros.data import EpisodeReader
    from safe_o2o_ros.learning.survey import survey

    has_cost = {args.data: dataset.has_cost}
    if args.calibration is not None:
        found = survey(EpisodeReader(args.calibration), dataset.adapter, 1)
        has_cost[args.calibration] = found.has_cost
        if (found.height, found.width) != dataset.image.shape[1:3]:
            raise UsageError(
                f"the images of {args.calibration} are {found.height} x {found.width}, those of {args.data} "
                f"{dataset.image.shape[1]} x {dataset.image.shape[2]}: calibrate on data of the same kind"
            )
    if args.method == "clone":
        return "behaviour cloning learns no risk"
    free = [str(path) for path, costs in has_cost.items() if not costs]
    if not free:
        return None
    sentence = f"no step of {free[0]} costs anything, so nothing in it tells what is dangerous"
    if not args.allow_no_cost:
        raise UsageError(
            f"{sentence}: record episodes that have costs, or give --allow-no-cost for a bundle whose filter "
            "certifies nothing"
        )
    return sentence


def _seed_range(text: str) -> list[int]:
    """[first, last] of "FIRST-LAST". Raises UsageError."""
    match = re.fullmatch(r"(\d+)-(\d+)", text)
    if match is None or int(match[1]) > int(match[2]):
        raise UsageError(f"--selection takes FIRST-LAST, e.g. 10000-10019, got '{text}'")
    return [int(match[1]), int(match[2])]


def _check(args: argparse.Namespace) -> Path:
    """What would otherwise be found wrong only after hours of training. Returns the run directory."""
    from safe_o2o_ros.bundle import check_target
    from safe_o2o_ros.data import read_manifest

    if not args.budget_minutes > 0.0:
        raise UsageError(f"--budget-minutes must be more than 0, got {args.budget_minutes}")
    source = read_manifest(args.data)
    if args.calibration is not None and not source.same_data(read_manifest(args.calibration)):
        raise UsageError(
            f"{args.calibration} was recorded with another task, robot, camera set, variant or period "
            f"than {args.data}: calibrate on data of the same kind"
        )
    check_target(args.out)
    out = args.out.absolute()
    run_dir = Path(args.run_dir or out.with_name(f"{out.name}-run"))
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot write to {error.filename} ({error.strerror}): choose another --out or --run-dir"
        ) from error
    return run_dir
