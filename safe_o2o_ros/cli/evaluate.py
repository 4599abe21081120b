"""`safe-o2o evaluate`: score bundles and references on a simulated task, without ROS."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from safe_o2o_ros.cli.evaluate_rows import FILTER_MODES, Row, rows_of
from safe_o2o_ros.cli.output import write_json
from safe_o2o_ros.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the subcommand."""
    parser.add_argument("--bundle", type=Path, nargs="+", help="directories of model bundles")
    parser.add_argument(
        "--policy",
        nargs="+",
        help="scripted references: a demonstrator's name, e.g. safe, careless, random; unfiltered without "
        "--guard",
    )
    parser.add_argument(
        "--guard",
        type=Path,
        help="a bundle whose encoder and safety filter stand behind every driver, in place of its own",
    )
    parser.add_argument("--task", default="PointGoal1", help="simulated task (default: PointGoal1)")
    parser.add_argument("--variant", nargs="+", help="variants of the task, by id")
    parser.add_argument("--episodes", type=int, default=20, help="how many; episode i uses seed + i")
    parser.add_argument("--seed", type=int, default=40_000, help="first seed (default: 40000)")
    parser.add_argument(
        "--filter", nargs="+", choices=sorted(FILTER_MODES), default=["off"], help="default: off"
    )
    parser.add_argument(
        "--blind", action="store_true", help="show bundles black pictures: the reference without a camera"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument(
        "--json", type=Path, help="write the record here; a list where several things are compared"
    )
    parser.add_argument(
        "--report", type=Path, help="write a page here, with plots and videos of the best and worst episode"
    )
    parser.add_argument("--no-video", action="store_true", help="a report without videos")


def run(args: argparse.Namespace) -> int:
    """Evaluate, print a table, write the record and the report."""
    _check(args)
    rows = rows_of(args)
    if args.report is not None:
        from safe_o2o_ros.report.evaluation import claim_folder

        claim_folder(args.report)
    from rich.console import Console

    from safe_o2o_ros.cli.evaluate_table import print_rows

    console = Console()
    records = drive_rows(args, rows, console)
    print_rows(console, rows, records)
    if args.json is not None:
        write_json(args.json, records[0] if len(records) == 1 else records, "record")
    if args.report is not None:
        _report(args, rows, records, console)
    return 0


def _check(args: argparse.Namespace) -> None:
    """What is wrong whatever is evaluated. Raises UsageError."""
    if args.episodes < 1 or args.workers < 1:
        raise UsageError("--episodes and --workers must be at least 1")
    if args.seed < 0:
        raise UsageError(f"--seed must be 0 or more, got {args.seed}")
    if args.json is not None and (args.json.is_dir() or not args.json.absolute().parent.is_dir()):
        raise UsageError(f"--json {args.json} is no file in an existing directory: make the directory first")


def drive_rows(args: argparse.Namespace, rows: Sequence[Row], console: Any) -> list[dict[str, Any]]:
    """Drive everything; one record for every row. Of `args` it takes seed, episodes and workers."""
    from safe_o2o_ros.cli.evaluate_worker import Job, drive
    from safe_o2o_ros.cli.pool import parallel
    from safe_o2o_ros.report.record import evaluation_record

    jobs = [Job(row, args.seed + i) for row in rows for i in range(args.episodes)]
    results: dict[int, tuple[dict[str, Any], int]] = {}
    with _progress(len(jobs), console) as advance, closing(parallel(drive, jobs, args.workers)) as finished:
        for index, result in finished:
            results[index] = result
            first = index - index % args.episodes
            known = [results[i][0] for i in range(first, first + args.episodes) if i in results]
            advance(_running(jobs[index].row, known))
    records = []
    for number, row in enumerate(rows):
        mine = [results[number * args.episodes + i] for i in range(args.episodes)]
        record = evaluation_record(
            task=row.task,
            variant=row.variant,
            bundle=row.version,
            filter_mode=row.mode.value,
            action_repeat=row.action_repeat,
            seed=args.seed,
            per_episode=[entry for entry, _ in mine],
            ticks=sum(ticks for _, ticks in mine),
        )
        if row.policy is not None:
            record["policy"] = row.policy
        if row.guard is not None:
            record["guard"] = row.guard_version
        if row.blind:
            record["blind"] = True
        records.append(record)
    return records


def _report(
    args: argparse.Namespace, rows: Sequence[Row], records: Sequence[dict[str, Any]], console: Any
) -> None:
    """Drive the best and the worst episode of every row again, and show them."""
    from safe_o2o_ros.cli.evaluate_table import labels
    from safe_o2o_ros.cli.evaluate_worker import Filming, film
    from safe_o2o_ros.cli.pool import parallel
    from safe_o2o_ros.report.evaluation import Compared, Shown, video_path, write_evaluation
    from safe_o2o_ros.report.record import extremes

    names = labels(rows)
    jobs, places = [], []
    for number, (row, record) in enumerate(zip(rows, records, strict=True)):
        for which, episode in extremes(record).items():
            seed = record["per_episode"][episode]["seed"]
            title = f"{row.task} · {names[number]} · {which} episode"
            path = None if args.no_video else video_path(args.report, number, which)
            jobs.append(Filming(row, seed, title, path))
            places.append((number, which))
    shown: dict[int, dict[str, Shown]] = {number: {} for number in range(len(rows))}
    notes: set[str] = set()
    with _progress(len(jobs), console) as advance, closing(parallel(film, jobs, args.workers)) as finished:
        for index, filmed in finished:
            number, which = places[index]
            shown[number][which] = Shown(filmed.log, filmed.video)
            notes |= {filmed.note} if filmed.note else set()
            advance(f"{which} episode of {names[number]}")
    compared = [
        # In this order, whoever was ready first.
        Compared(names[n], records[n], {which: shown[n][which] for which in extremes(records[n])})
        for n in range(len(rows))
    ]
    page = write_evaluation(args.report, compared, sorted(notes))
    for note in sorted(notes):
        print(note)
    print(f"report: {page}")


@contextmanager
def _progress(total: int, console: Any) -> Iterator[Any]:
    """A bar over episodes; call it with what to say beside it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("starting", total=total)
        yield lambda words: progress.update(bar, advance=1, description=words)


def _running(row: Row, known: Sequence[dict[str, Any]]) -> str:
    """The means of a row so far."""
    reward, cost = (sum(e[key] for e in known) / len(known) for key in ("reward", "cost"))
    return f"{row.driver}  reward {reward:.2f}  cost {cost:.1f}"
