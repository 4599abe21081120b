"""`safe-o2o baselines`: other agents, and ours without each of its parts, on one world model and data set."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console

from safe_o2o_ros.cli.baselines_table import compare, print_comparison
from safe_o2o_ros.cli.output import write_json
from safe_o2o_ros.cli.training import bars, device_of, overrides_of
from safe_o2o_ros.errors import MissingExtraError, UsageError

_RECORD, _BUNDLE, _PICTURE, _RESULT = "record.json", "bundle", "baselines.png", "baselines.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the subcommand."""
    parser.add_argument("--task", required=True, help="simulated task of the data")
    parser.add_argument("--data", type=Path, required=True, help="segment store the run was trained on")
    parser.add_argument(
        "--run-dir", type=Path, required=True, help="finished run of `safe-o2o pretrain`: its world model"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="directory of all that is made here; what is there is kept"
    )
    parser.add_argument(
        "--calibration",
        type=Path,
        help="segment store of held-out episodes for the bundles' thresholds (default: the training data)",
    )
    parser.add_argument("--episodes", type=int, default=60, help="how many; episode i uses seed + i")
    parser.add_argument("--seed", type=int, default=40_000, help="first seed (default: 40000)")
    parser.add_argument("--methods", help="names with commas between them (default: all)")
    parser.add_argument("--config", help="take the agent's settings from this profile (default: the run's)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override, e.g. agent.steps=2000"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes that drive (default: 2)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--json", type=Path, help="write the comparison here too (default: OUT only)")


def run(args: argparse.Namespace) -> int:
    """Train and drive what is not there yet, then print, draw and write the comparison."""
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("training needs torch: run `pip install safe_o2o_ros[train]`") from error
    from safe_o2o_ros.learning.baselines import agent_config, data_key, load_foundation
    from safe_o2o_ros.learning.methods import METHODS, OURS

    names = _names(args.methods)
    _check(args)
    device = device_of(args.device, torch.cuda.is_available())
    foundation = load_foundation(args.run_dir)
    config = agent_config(foundation, args.config, overrides_of(args.set))
    console = Console()
    builder = _Builder(args, foundation, config, data_key(foundation, config, args.data), console, device)
    for name in names:  # before hours of training: is a folder another comparison's?
        builder.claim(name)
    records = {name: builder.record(name) for name in names}

    entries = compare(records, {name: METHODS[name].line for name in names}, OURS)
    shared = sum(clock.cpu_s for clock in foundation.clocks.values()) / 60.0
    title = f"{args.task}, seeds {args.seed}..{args.seed + args.episodes - 1}, filter off"
    below = f"the world model, which all share, took {shared:.1f} processor minutes"
    print_comparison(console, title, entries, f"means, 95 % bootstrap intervals; {below}")
    result = {
        "task": args.task,
        "seed": args.seed,
        "episodes": args.episodes,
        "world_model_cpu_min": shared,
        "methods": entries,
    }
    for path in (args.out / _RESULT, *([args.json] if args.json else [])):
        write_json(path, result, "comparison")
    _draw(args, entries, below)
    console.print(f"written to {args.out}: {_PICTURE}, {_RESULT}, and a bundle and a record of every method")
    return 0


class _Builder:
    """Makes the records of methods; data and latents are loaded for the first that is trained."""

    def __init__(
        self, args: argparse.Namespace, foundation: Any, config: Any, key: str, console: Console, device: str
    ) -> None:
        self._args, self._foundation, self._config, self._key = args, foundation, config, key
        self._console, self._device = console, device
        self._ground: Any = None

    def claim(self, name: str) -> None:
        """Make the method's folder. Raises UsageError where it holds something else."""
        from safe_o2o_ros.learning.baselines import claim_folder
        from safe_o2o_ros.learning.methods import configured

        claim_folder(self._args.out / name, configured(name, self._config), self._key)

    def record(self, name: str) -> dict[str, Any]:
        """The method's record: what is there, else driven by the bundle that is there, else trained."""
        from safe_o2o_ros.manifest import read_manifest

        folder = self._args.out / name
        # Bundles appear whole or not at all.
        manifest = read_manifest(folder / _BUNDLE) if (folder / _BUNDLE).exists() else self._train(name)
        known = _read(folder / _RECORD)
        expected = {
            "task": self._args.task,
            "seed": self._args.seed,
            "episodes": self._args.episodes,
            "bundle": manifest.version,
        }
        if known is not None and all(known.get(key) == value for key, value in expected.items()):
            return known
        record = self._drive(folder / _BUNDLE)
        record["method"] = name
        record["training_cpu_s"] = manifest.metrics["training"]["cpu_s"]["agent"]
        write_json(folder / _RECORD, record, "record")
        return record

    def _train(self, name: str) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        from safe_o2o_ros.learning.baselines import lay_ground, train_method

        args, folder = self._args, self._args.out / name
        with bars(self._console) as report:
            if self._ground is None:
                stores = args.data, args.calibration, args.out
                self._ground = lay_ground(self._foundation, self._config, *stores, report, self._device)
            writer = SummaryWriter(str(folder / "tensorboard"))

            def log(phase: str, step: int, scalars: dict[str, float]) -> None:
                for key, value in scalars.items():
                    writer.add_scalar(f"{phase}/{key}", value, step)

            manifest = train_method(
                name,
                self._config,
                self._ground,
                folder,
                log,
                lambda _, done, total, scalars: report(name, done, total, scalars),
                self._device,
            )
            writer.close()
        return manifest

    def _drive(self, bundle: Path) -> dict[str, Any]:
        from safe_o2o_ros.cli.evaluate import drive_rows
        from safe_o2o_ros.cli.evaluate_rows import rows_of

        args = argparse.Namespace(
            **{key: getattr(self._args, key) for key in ("task", "seed", "episodes", "workers")},
            bundle=[bundle],
            policy=None,
            variant=None,
            filter=["off"],
            blind=False,
            guard=None,
        )
        return drive_rows(args, rows_of(args), self._console)[0]


def _names(text: str | None) -> list[str]:
    """Methods asked for. Raises UsageError."""
    from safe_o2o_ros.learning.methods import METHODS

    if text is None:
        return list(METHODS)
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in METHODS:
            raise UsageError(f"unknown method '{name}': choose among {', '.join(METHODS)}")
    return names


def _check(args: argparse.Namespace) -> None:
    """What would otherwise be found wrong only after hours of training. Raises UsageError."""
    from safe_o2o_ros.data import read_manifest
    from safe_o2o_ros.sim.tasks import task_spec

    if args.episodes < 1 or args.workers < 1:
        raise UsageError("--episodes and --workers must be at least 1")
    if args.seed < 0:
        raise UsageError(f"--seed must be 0 or more, got {args.seed}")
    if args.json is not None and args.json.is_dir():
        raise UsageError(f"--json {args.json} is a directory: name a file")
    task_spec(args.task)
    source = read_manifest(args.data)
    if source.task != args.task:
        raise UsageError(f"{args.data} was recorded on {source.task}, not on {args.task}")
    held_out = None if args.calibration is None else read_manifest(args.calibration)
    if held_out is not None and not source.same_data(held_out):
        raise UsageError(
            f"{args.calibration} was recorded with another task, robot, camera set, variant or period "
            f"than {args.data}: calibrate on data of the same kind"
        )
    last = args.seed + args.episodes - 1
    for manifest in (source, held_out):
        if manifest is not None and manifest.seeds is not None:
            first_seen, last_seen = manifest.seeds
            if args.seed <= last_seen and first_seen <= last:
                raise UsageError(
                    f"seeds {args.seed} to {last} overlap with {first_seen} to {last_seen} of the data: "
                    "choose unseen seeds, e.g. --seed 40000"
                )


def _read(path: Path) -> dict[str, Any] | None:
    """A record; None where there is none, or only half of one after a crash."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _draw(args: argparse.Namespace, entries: list[dict[str, Any]], below: str) -> None:
    from safe_o2o_ros.learning.methods import METHODS, OURS
    from safe_o2o_ros.report import baselines_plot as plot
    from safe_o2o_ros.report.published import PUBLISHED

    points = [
        plot.Point(
            entry["line"],
            plot.OURS
            if entry["method"] == OURS
            else plot.PART_OFF
            if METHODS[entry["method"]].part
            else plot.OTHER_AGENT,
            entry["reward_mean"],
            entry["cost_mean"],
            entry["reward_ci95"],
            entry["cost_ci95"],
        )
        for entry in entries
    ]
    words = f"mean of {args.episodes} episodes of unseen scenes and its 95 % interval, filter off; {below}"
    plot.write_baselines(args.out / _PICTURE, args.task, words, points, PUBLISHED.get(args.task))
