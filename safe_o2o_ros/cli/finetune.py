"""`safe-o2o finetune`: the whole loop of fine-tuning against the simulator, and what it was worth.

Episodes are driven behind the filter with the newest bundle that the release gate let through, every few of
them the learner makes a candidate, and at the end the frozen bundle and the last one drive the same unseen
scenes. The frozen bundle also drives every scene of the tuning: violations during tuning are the price.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from rich.console import Console

from safe_o2o_ros.cli.finetune_data import collected, held_out
from safe_o2o_ros.cli.finetune_loop import Learning, Tuning, tune
from safe_o2o_ros.cli.finetune_record import compare
from safe_o2o_ros.cli.output import write_json
from safe_o2o_ros.errors import UsageError

TUNING_SEED, EVALUATION_SEED = 5_000, 40_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the subcommand."""
    parser.add_argument("--task", default="PointGoal1", help="simulated task (default: PointGoal1)")
    parser.add_argument("--variant", help="variant of the task, by id: where the bundle has to learn")
    parser.add_argument(
        "--bundle", type=Path, help="directory of the bundle to go on from (default: the task's)"
    )
    parser.add_argument("--episodes", type=int, default=60, help="to tune on (default: 60)")
    parser.add_argument(
        "--out", type=Path, required=True, help="directory of the run; continued if it exists"
    )
    parser.add_argument(
        "--offline", type=Path, help="store of recorded episodes to mix in (default: collected into --out)"
    )
    parser.add_argument("--offline-episodes", type=int, default=160, help="to collect then (default: 160)")
    parser.add_argument("--held-out", type=Path, help="store of the gate's episodes (default: collected)")
    parser.add_argument("--held-out-episodes", type=int, default=80, help="to collect then (default: 80)")
    parser.add_argument("--every", type=int, default=10, help="episodes between candidates (default: 10)")
    parser.add_argument("--updates", type=int, default=150, help="after every episode (default: 150)")
    parser.add_argument(
        "--exploration",
        type=float,
        default=0.4,
        help="noise while tuning, where the policy gets nowhere, effective actions (default: 0.4)",
    )
    parser.add_argument(
        "--risk-share",
        type=float,
        default=0.25,
        help="of the filter's threshold while tuning: less is stricter (default: 0.25)",
    )
    parser.add_argument("--evaluate", type=int, default=40, help="unseen scenes to compare on (default: 40)")
    parser.add_argument("--seed", type=int, default=TUNING_SEED, help=f"of tuning (default: {TUNING_SEED})")
    parser.add_argument(
        "--evaluation-seed", type=int, default=EVALUATION_SEED, help=f"default: {EVALUATION_SEED}"
    )
    parser.add_argument("--no-filter", action="store_true", help="tune and drive without the filter")
    parser.add_argument("--no-expansion", action="store_true", help="the online actor drives alone")
    parser.add_argument("--no-gate", action="store_true", help="every candidate drives")
    parser.add_argument("--no-safety", action="store_true", help="keep the parent's safety network")
    parser.add_argument(
        "--world-model-updates",
        type=int,
        default=0,
        metavar="N",
        help="also tune the world model, N updates a candidate (a comparison; default: 0, it stays)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="setting of the learner, e.g. share=0.5",
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--json", type=Path, help="write the record here too")


def run(args: argparse.Namespace) -> int:
    """Tune, compare, draw, write the record."""
    from safe_o2o_ros.cli.extras import INFERENCE, SIM, TRAIN, require

    require(TRAIN, SIM, INFERENCE)
    import torch

    from safe_o2o_ros.bundle import load_bundle
    from safe_o2o_ros.data import EpisodeReader
    from safe_o2o_ros.graph import default_bundle
    from safe_o2o_ros.learning.learner import Learner

    _check(args)
    args.bundle = args.bundle or default_bundle(args.task)
    manifest = load_bundle(args.bundle, task=args.task).manifest
    for seed in (args.seed, args.evaluation_seed):
        if purpose := manifest.uses_seed(seed):
            raise UsageError(f"seed {seed} was used for the {purpose} of {manifest.version}: give another")
    torch.set_num_threads(1)
    console = Console()
    args.out.mkdir(parents=True, exist_ok=True)
    offline = args.offline or collected(args)
    held = args.held_out or held_out(args, console)
    tuning = Tuning.load(args.out)
    learner = Learner(args.bundle, args.out, settings_of(args))
    encoder = None
    if args.world_model_updates:
        from safe_o2o_ros.learning.tuned_encoder import TunedEncoder

        encoder = TunedEncoder(learner.bundle, args.out, args.world_model_updates, learner.settings.seed)
        if (tuned := encoder.bundle) is not None:
            learner.adopt(tuned)
    console.print(f"{manifest.version} learns on {args.task}, variant {args.variant or 'default'}")
    steps = learner.record(offline)
    if tuning.episodes:
        learner.add(EpisodeReader(args.out / "experience"))
    console.print(f"{steps} recorded steps, {learner.own.steps} of its own, update {learner.step}")
    tune(args, Learning(learner, encoder, offline, held), tuning, console)
    record = compare(args, tuning, manifest.version, console)
    write_json(args.out / "record.json", record, "record")
    if args.json is not None:
        write_json(args.json, record, "record")
    from safe_o2o_ros.report.finetune_plot import write_finetune

    write_finetune(args.out / "finetune.png", record)
    console.print(f"record: {args.out / 'record.json'}, picture: {args.out / 'finetune.png'}")
    return 0


def _check(args: argparse.Namespace) -> None:
    if (
        min(args.episodes, args.every, args.workers) < 1
        or min(args.updates, args.evaluate, args.world_model_updates) < 0
    ):
        raise UsageError(
            "--episodes, --every and --workers must be 1 or more, --updates, --evaluate and "
            "--world-model-updates 0 or more"
        )
    if not 0.0 <= args.risk_share <= 1.0 or not 0.0 <= args.exploration <= 1.0:
        raise UsageError("--risk-share and --exploration must lie between 0 and 1")


def settings_of(args: argparse.Namespace) -> Any:
    """The learner's settings. Raises UsageError."""
    from safe_o2o_ros.learning.learner import OnlineSettings

    known: dict[str, Any] = dataclasses.asdict(OnlineSettings())
    given: dict[str, Any] = {
        "expansion": not args.no_expansion,
        "safety_learns": not args.no_safety,
    }
    for text in args.set:
        key, _, value = text.partition("=")
        if key not in known or isinstance(known[key], bool):
            raise UsageError(f"--set {text}: choose among {', '.join(known)}")
        try:
            given[key] = type(known[key])(value)
        except ValueError:
            raise UsageError(f"--set {text}: {key} must be of type {type(known[key]).__name__}") from None
    return OnlineSettings(**given)
