"""`safe-o2o calibrate`: a bundle's thresholds from commands that its own filter substituted."""

from __future__ import annotations

import argparse
import dataclasses
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from safe_o2o_ros.bootstrap import mean_interval
from safe_o2o_ros.cli.calibrate_worker import DRIVERS, LEAST_THRESHOLD, MOST_THRESHOLD, Driven, Job, drive
from safe_o2o_ros.cli.output import write_json
from safe_o2o_ros.errors import UsageError

FIRST_SEED, FRESH_SEED = 20_000, 25_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the subcommand."""
    parser.add_argument("--bundle", type=Path, required=True, help="directory of a model bundle")
    parser.add_argument("--out", type=Path, required=True, help="directory of the bundle to write")
    parser.add_argument("--episodes", type=int, default=120, help="to calibrate on (default: 120)")
    parser.add_argument("--fresh", type=int, default=40, help="to check the result on (default: 40)")
    parser.add_argument("--seed", type=int, default=FIRST_SEED, help=f"first seed (default: {FIRST_SEED})")
    parser.add_argument(
        "--alpha", type=float, default=0.02, help="share of commands wrongly called safe (default: 0.02)"
    )
    parser.add_argument(
        "--horizon", type=int, default=10, help="control periods within which a cost counts (default: 10)"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--json", type=Path, help="write what was found here")


def run(args: argparse.Namespace) -> int:
    """Drive, choose, check on fresh episodes, write the bundle."""
    from safe_o2o_ros.bundle import ENCODER, SAFETY, check_target, load_bundle, rewritten
    from safe_o2o_ros.cli.extras import INFERENCE, SIM, require

    require(SIM, INFERENCE)
    if not 0.0 < args.alpha < 1.0 or args.horizon < 1 or args.workers < 1 or args.fresh < 0:
        raise UsageError("--alpha must lie between 0 and 1, --horizon and --workers be 1 or more")
    if args.episodes + 1 < 1.0 / args.alpha:
        raise UsageError(
            f"{args.episodes} episodes cannot promise {args.alpha:g}: give --episodes "
            f"{int(np.ceil(1.0 / args.alpha))} or more"
        )
    check_target(args.out)
    bundle = load_bundle(args.bundle, (ENCODER, SAFETY))
    used = {s: bundle.manifest.uses_seed(s) for s in range(args.seed, args.seed + args.episodes)}
    for seed, purpose in used.items():
        if purpose in ("training", "selection"):
            raise UsageError(
                f"seed {seed} was used for the {purpose} of {bundle.version}: give another --seed"
            )
    console = Console()
    driven = _drive(args, bundle.manifest.task, args.seed, args.episodes, None, console)
    thresholds, found = choose(driven, bundle.manifest, args)
    last = args.seed + args.episodes - 1
    ranges = [*bundle.manifest.seeds.get("calibration", []), [args.seed, last]]
    manifest = dataclasses.replace(
        bundle.manifest,
        thresholds=thresholds,
        seeds={**bundle.manifest.seeds, "calibration": [list(r) for r in sorted({tuple(r) for r in ranges})]},
    )
    if args.fresh:
        found["fresh"] = _fresh(args, bundle.manifest.task, thresholds.risk, console)
        manifest = dataclasses.replace(
            manifest,
            thresholds=dataclasses.replace(
                thresholds, provenance={**thresholds.provenance, "fresh": found["fresh"]}
            ),
        )
    written = rewritten(args.bundle, args.out, manifest)
    _show(console, found)
    console.print(f"bundle [bold]{written.version}[/bold] written to {args.out}")
    if args.json is not None:
        write_json(args.json, {"bundle": written.version, **found}, "result")
    return 0


def _drive(
    args: argparse.Namespace, task: str, seed: int, count: int, threshold: float | None, console: Console
) -> list[Driven]:
    """Episodes behind the filter; `threshold` None: each its own, for commands of every risk."""
    from safe_o2o_ros.cli.pool import parallel
    from safe_o2o_ros.cli.training import bars

    rng = np.random.default_rng(seed)
    drawn = np.exp(rng.uniform(np.log(LEAST_THRESHOLD), np.log(MOST_THRESHOLD), count))
    jobs = [
        Job(
            task,
            args.bundle,
            DRIVERS[i % len(DRIVERS)],
            seed + i,
            float(drawn[i]) if threshold is None else threshold,
        )
        for i in range(count)
    ]
    done: dict[int, Driven] = {}
    with bars(console) as report, closing(parallel(drive, jobs, args.workers)) as finished:
        for index, one in finished:
            done[index] = one
            report("drive", len(done), count, {})
    return [done[i] for i in range(count)]


def choose(driven: list[Driven], manifest: Any, args: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """Thresholds, and what they rest on."""
    from safe_o2o_ros.learning.calibrate import novelty_levels
    from safe_o2o_ros.safety.conformal import conformal_threshold
    from safe_o2o_ros.safety.novelty import window_of

    judged = [one.judged(args.horizon) for one in driven]
    risk = conformal_threshold(judged, args.alpha, MOST_THRESHOLD)
    found: dict[str, Any] = {
        "event": f"cost within {args.horizon} control periods of a command called safe",
        "loss": "share of an episode's commands; conformal risk control over episodes",
        "alpha": args.alpha,
        "horizon_periods": args.horizon,
        "episodes": len(driven),
        "unsafe_episodes": int(sum(j.event.any() for j in judged)),
        "drivers": list(DRIVERS),
        "loss_mean": float(np.mean([j.loss(risk) for j in judged])),
        "substituted_commands": int(sum(one.changed.sum() for one in driven)),
        "commands": int(sum(len(one.risk) for one in driven)),
        "certified_share": float(np.mean(np.concatenate([j.risk for j in judged]) <= risk)),
        "source": "episodes driven behind this filter, with a threshold drawn for each",
    }
    levels: dict[str, float] = {}
    if manifest.latent.novelty:
        signs = {"surprise": [o.signs[:, 0] for o in driven], "pictures": [o.signs[:, 1] for o in driven]}
        levels, alphas = novelty_levels(signs, window_of(manifest.period_s))
        found |= alphas
    thresholds = dataclasses.replace(manifest.thresholds, risk=risk, provenance=dict(found), **levels)
    return thresholds, {"threshold": risk, **levels, **found}


def _fresh(args: argparse.Namespace, task: str, threshold: float, console: Console) -> dict[str, Any]:
    """The promise on unseen episodes: driven as those it was made on, and with the threshold in the loop."""
    first = FRESH_SEED + (args.seed - FIRST_SEED)
    out: dict[str, Any] = {"alpha": args.alpha, "episodes": args.fresh, "first_seed": first}
    for name, held in (("as_calibrated", None), ("closed_loop", threshold)):
        driven = _drive(args, task, first, args.fresh, held, console)
        losses = np.array([one.judged(args.horizon).loss(threshold) for one in driven])
        interval = mean_interval(losses.tolist())
        out[name] = {
            "event_rate": float(losses.mean()),
            "ci95": None if interval is None else list(interval),
            "overrides_per_100": 100.0 * float(np.mean([one.changed.mean() for one in driven])),
            "cost": float(np.mean([one.cost.sum() for one in driven])),
            "reward": float(np.mean([one.reward for one in driven])),
        }
    return out


def _show(console: Console, found: dict[str, Any]) -> None:
    console.print(
        f"threshold {found['threshold']:.4f}: {100 * found['loss_mean']:.2f} % of commands wrongly called "
        f"safe in {found['episodes']} episodes, {found['unsafe_episodes']} of them with costs (promised on "
        f"average: {100 * found['alpha']:g} %)"
    )
    for name, words in (("as_calibrated", "fresh, as calibrated"), ("closed_loop", "fresh, in the loop")):
        if row := found.get("fresh", {}).get(name):
            low, high = row["ci95"] or (float("nan"), float("nan"))
            console.print(
                f"{words}: {100 * row['event_rate']:.2f} % \\[{100 * low:.2f}, {100 * high:.2f}], "
                f"{row['overrides_per_100']:.1f} of 100 commands changed, reward {row['reward']:.1f}, "
                f"cost {row['cost']:.1f}"
            )
