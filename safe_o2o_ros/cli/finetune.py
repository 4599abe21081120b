"""`safe-o2o finetune`: the whole loop of fine-tuning against the simulator, and what it was worth.

Episodes are driven behind the filter with the newest bundle that the release gate let through, every few of
them the learner makes a candidate, and at the end the frozen bundle and the last one drive the same unseen
scenes. The frozen bundle also drives every scene of the tuning: violations during tuning are the price.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from safe_o2o_ros.cli.finetune_worker import OWN, Driven, Job, drive
from safe_o2o_ros.cli.output import write_json
from safe_o2o_ros.errors import StoreError, UsageError

if TYPE_CHECKING:
    from safe_o2o_ros.learning.learner import Learner
    from safe_o2o_ros.online.verdict import Verdict

TUNING_SEED, HELD_OUT_SEED, EVALUATION_SEED = 5_000, 22_000, 40_000
_HELD_OUT_DRIVERS = ("careless", OWN, "bold", OWN)
_LEAST_THRESHOLD, _MOST_THRESHOLD = 0.1, 0.8
_PROGRESS = "progress.json"


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
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="setting of the learner, e.g. share=0.5",
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--json", type=Path, help="write the record here too")


@dataclass
class Tuning:
    """What has happened so far; written after every episode."""

    episodes: list[dict[str, Any]] = field(default_factory=list)
    """Per tuning episode: record, share of the online actor, bundle."""
    gate: list[dict[str, Any]] = field(default_factory=list)
    """Every candidate: after which episode, verdict."""
    bundle: str = ""
    """Directory of the bundle that drives."""

    def save(self, out: Path) -> None:
        """Atomically."""
        draft = out / f"{_PROGRESS}.tmp"
        draft.write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")
        draft.replace(out / _PROGRESS)

    @classmethod
    def load(cls, out: Path) -> Tuning:
        """What `save` wrote; empty if there is nothing. Raises StoreError."""
        path = out / _PROGRESS
        if not path.exists():
            return cls()
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise StoreError(f"{path} is not the progress of a run ({error}): give another --out") from error


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
    offline = args.offline or _collected(args)
    held_out = args.held_out or _held_out(args, console)
    tuning = Tuning.load(args.out)
    learner = Learner(args.bundle, args.out, settings_of(args))
    console.print(f"{manifest.version} learns on {args.task}, variant {args.variant or 'default'}")
    steps = learner.record(offline)
    if tuning.episodes:
        learner.add(EpisodeReader(args.out / "experience"))
    console.print(f"{steps} recorded steps, {learner.own.steps} of its own, update {learner.step}")
    tune(args, learner, tuning, held_out, console)
    record = compare(args, tuning, manifest.version, console)
    write_json(args.out / "record.json", record, "record")
    if args.json is not None:
        write_json(args.json, record, "record")
    from safe_o2o_ros.report.finetune_plot import write_finetune

    write_finetune(args.out / "finetune.png", record)
    console.print(f"record: {args.out / 'record.json'}, picture: {args.out / 'finetune.png'}")
    return 0


def _check(args: argparse.Namespace) -> None:
    if min(args.episodes, args.every, args.workers) < 1 or min(args.updates, args.evaluate) < 0:
        raise UsageError(
            "--episodes, --every and --workers must be 1 or more, --updates and --evaluate 0 or more"
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


def _collected(args: argparse.Namespace) -> Path:
    """Recorded episodes of the published task, from demonstrators: what bundles are made from, in small."""
    from safe_o2o_ros.cli import collect

    out: Path = args.out / "offline"
    collect.run(
        argparse.Namespace(
            task=args.task,
            variant=None,
            episodes=args.offline_episodes,
            out=out,
            seed=0,
            mix=None,
            bundle=None,
            workers=args.workers,
            images="png",
        )
    )
    return out


def _held_out(args: argparse.Namespace, console: Console) -> Path:
    """Episodes for the gate, behind filters of every strictness: the robot's own unsafe set."""
    out: Path = args.out / "held_out"
    rng = np.random.default_rng(HELD_OUT_SEED)
    drawn = np.exp(rng.uniform(np.log(_LEAST_THRESHOLD), np.log(_MOST_THRESHOLD), args.held_out_episodes))
    drivers = _drivers(args.task)
    jobs = [
        Job(
            args.task,
            args.variant,
            args.bundle,
            drivers[i % len(drivers)],
            HELD_OUT_SEED + i,
            True,
            float(drawn[i]),
        )
        for i in range(args.held_out_episodes)
    ]
    done = out / "complete"
    if done.exists():
        return out
    _store(out, args, drive_all(jobs, args.workers, console, "held-out"))
    done.touch()
    return out


def _drivers(task: str) -> tuple[str, ...]:
    """Who asks in held-out episodes, of those this robot has."""
    from safe_o2o_ros.sim.demonstrators import kinds_of
    from safe_o2o_ros.sim.tasks import task_spec

    kinds = kinds_of(task_spec(task).robot.adapter)
    return tuple(d for d in _HELD_OUT_DRIVERS if d == OWN or d in kinds)


def _store(directory: Path, args: argparse.Namespace, driven: Sequence[Driven]) -> None:
    with _writer(directory, args) as writer:
        for one in driven:
            writer.append(one.episode)


def _writer(directory: Path, args: argparse.Namespace) -> Any:
    import safe_o2o_ros
    from safe_o2o_ros.data import EpisodeWriter, Manifest
    from safe_o2o_ros.manifest import read_manifest

    made = read_manifest(args.bundle)
    manifest = Manifest(
        task=args.task,
        cameras=made.image.cameras,
        adapter=made.adapter.to_json(),
        period_s=made.period_s,
        action_repeat=made.action_repeat,
        version=safe_o2o_ros.__version__,
        command="safe-o2o finetune",
        seeds=None,
        mix={},
        variant=args.variant,
    )
    return EpisodeWriter(directory, manifest)


def drive_all(jobs: Sequence[Job], workers: int, console: Console, name: str) -> list[Driven]:
    """All jobs, in parallel, in order."""
    from safe_o2o_ros.cli.pool import parallel
    from safe_o2o_ros.cli.training import bars

    done: dict[int, Driven] = {}
    with bars(console) as report, closing(parallel(drive, jobs, workers)) as finished:
        for index, one in finished:
            done[index] = one
            report(name, len(done), len(jobs), {})
    return [done[i] for i in range(len(jobs))]


def tune(
    args: argparse.Namespace, learner: Learner, tuning: Tuning, held_out: Path, console: Console
) -> None:
    """Drive, learn, release."""
    from safe_o2o_ros.cli.training import bars

    tuning.bundle = tuning.bundle or str(args.bundle)
    with bars(console) as report, _writer(args.out / "experience", args) as writer:
        for number in range(len(tuning.episodes), args.episodes):
            job = Job(
                args.task,
                args.variant,
                Path(tuning.bundle),
                OWN,
                args.seed + number,
                not args.no_filter,
                exploration=args.exploration,
                risk_share=args.risk_share,
            )
            driven = drive(job)
            writer.append(driven.episode)
            learner.add([driven.episode])
            # The first episode waits for the critics to know the recorded data.
            losses = learner.update(args.updates + (learner.settings.warmup if learner.step == 0 else 0))
            tuning.episodes.append(
                {
                    **driven.record,
                    "online_share": driven.online / driven.ticks,
                    "bundle": Path(tuning.bundle).name,
                }
            )
            report("tune", number + 1, args.episodes, losses)
            if (number + 1) % args.every == 0:
                verdict = _release(args, learner, tuning, held_out, number + 1)
                say = (
                    "released" if verdict.passed else f"refused ({verdict.refusal and verdict.refusal.value})"
                )
                console.print(f"episode {number + 1}: {say}: {verdict.sentence}")
            learner.save()
            tuning.save(args.out)


def _release(
    args: argparse.Namespace, learner: Learner, tuning: Tuning, held_out: Path, after: int
) -> Verdict:
    from safe_o2o_ros.online.gate import Bounds, judge
    from safe_o2o_ros.online.verdict import Verdict

    candidate, released = args.out / "candidate", args.out / f"bundle-{after:03d}"
    made = learner.package(candidate)
    if args.no_gate:
        candidate.rename(released)
        verdict = Verdict(made.version, True, None, "not judged")
    else:
        verdict = judge(candidate, Path(tuning.bundle), held_out, released, Bounds())
    if verdict.passed:
        tuning.bundle = str(released)
    tuning.gate.append({"episode": after, **json.loads(verdict.to_json())})
    return verdict


def compare(args: argparse.Namespace, tuning: Tuning, frozen: str, console: Console) -> dict[str, Any]:
    """The frozen bundle in the tuning's scenes, and both in unseen ones."""

    def jobs(bundle: Path, first: int, count: int) -> list[Job]:
        return [
            Job(args.task, args.variant, bundle, OWN, first + i, not args.no_filter) for i in range(count)
        ]

    count, scenes = len(tuning.episodes), args.evaluate
    tuned = Path(tuning.bundle)
    driven = drive_all(
        jobs(args.bundle, args.seed, count)
        + jobs(args.bundle, args.evaluation_seed, scenes)
        + (jobs(tuned, args.evaluation_seed, scenes) if tuned != args.bundle else []),
        args.workers,
        console,
        "compare",
    )
    reference = [d.record for d in driven[:count]]
    before = [d.record for d in driven[count : count + scenes]]
    after = [d.record for d in driven[count + scenes :]] or before
    online = [d.online / d.ticks for d in driven[count + scenes :]]
    record = {
        "task": args.task,
        "variant": args.variant,
        "frozen": frozen,
        "tuned": tuned.name if tuned != args.bundle else None,
        "filter": not args.no_filter,
        "expansion": not args.no_expansion,
        "gate_used": not args.no_gate,
        "exploration": args.exploration,
        "risk_share": args.risk_share,
        "seed": args.seed,
        "evaluation_seed": args.evaluation_seed,
        "tuning": {
            "episodes": tuning.episodes,
            "frozen": reference,
            "gate": tuning.gate,
            **paired(reference, tuning.episodes, "tuning"),
        },
        "evaluation": {
            "frozen": before,
            "tuned": after,
            "online_share": float(np.mean(online)) if online else 0.0,
            **paired(before, after, "evaluation"),
        },
    }
    _show(console, record)
    return record


def paired(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """Means of both and intervals of the differences, reward, cost and periods with a cost; same scenes."""
    from safe_o2o_ros.bootstrap import difference_interval

    out: dict[str, Any] = {"scenes": len(before)}
    for key in ("reward", "cost"):
        first, second = [e[key] for e in before], [e[key] for e in after]
        interval = difference_interval(second, first)
        out[key] = {
            "frozen": float(np.mean(first)) if first else None,
            "tuned": float(np.mean(second)) if second else None,
            "difference_ci95": None if interval is None else list(interval),
        }
    out["violations"] = {"frozen": sum(e["cost"] for e in before), "tuned": sum(e["cost"] for e in after)}
    successes = [e["success"] for e in before if e["success"] is not None]
    if successes:
        out["success"] = {
            "frozen": float(np.mean(successes)),
            "tuned": float(np.mean([e["success"] for e in after])),
        }
    return out


def _show(console: Console, record: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(title=f"{record['task']}, variant {record['variant'] or 'default'}")
    for column in (
        "",
        "scenes",
        "reward frozen",
        "tuned",
        "difference",
        "cost frozen",
        "tuned",
        "difference",
    ):
        table.add_column(column, justify="left" if not column else "right")
    for name in ("tuning", "evaluation"):
        row = record[name]
        cells = [name, str(row["scenes"])]
        for key in ("reward", "cost"):
            interval = row[key]["difference_ci95"]
            told = "-" if interval is None else f"{interval[0]:+.1f} .. {interval[1]:+.1f}"
            mine = (row[key][who] for who in ("frozen", "tuned"))
            cells += [*("-" if x is None else f"{x:.1f}" for x in mine), told]
        table.add_row(*cells)
    console.print(table)
    passed = sum(1 for g in record["tuning"]["gate"] if g["passed"])
    console.print(
        f"{passed} of {len(record['tuning']['gate'])} candidates released; online actor "
        f"{100 * record['evaluation']['online_share']:.0f} % of the ticks; cost during tuning "
        f"{record['tuning']['violations']['tuned']:.0f}, "
        f"frozen {record['tuning']['violations']['frozen']:.0f}"
    )
