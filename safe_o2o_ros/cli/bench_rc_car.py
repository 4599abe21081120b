"""`safe-o2o bench rc-car`: train on real drives, and look at drives that were held out.

Splits are by drive (what lies between two gaps of the recording): of each fold the networks have seen other
drives only. Throttle is no input and no output: its sign tells what the driver threw away.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from safe_o2o_ros.cli.rc_car_numbers import Fold, summary
from safe_o2o_ros.cli.training import Report, bars, overrides_of
from safe_o2o_ros.data import EpisodeReader
from safe_o2o_ros.data.store import is_store
from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.robot import RobotAdapter

if TYPE_CHECKING:
    from safe_o2o_ros.learning.config import PretrainConfig
    from safe_o2o_ros.learning.dataset import Dataset

SEGMENTS = {"segA": (), "segE": ("--cost", "author_deleted")}
"""Folders of the recording, and what else the import is told of each."""
SIZE = 64
"""Pixels of the square pictures."""
LEAST_STEPS = 10
FOLD_STEPS = 900
"""A fold is closed once it has so many steps; a drive that is longer is a fold of its own."""
HORIZONS = (1, 5)
"""Steps ahead of predicted pictures."""
STEERING = RobotAdapter(
    name="rc_car_steering",
    action_names=("angular.z",),
    action_units=("normalised",),
    scale=(1.0,),
    saturation=(1.0,),
    brake="velocity",
    top_speed=(1.0,),
    time_constant_s=(0.1,),
    max_accel=(float("inf"),),
    max_decel=(float("inf"),),
)
"""The steering of config/bases/rc_car.yaml alone."""
SETTINGS = {
    "precision": "float32",
    "model.depth": "8",
    "model.deter": "128",
    "model.units": "128",
    "model.percept": "128",
    "percept.steps": "1000",
    "percept.batch": "16",
    "percept.length": "16",
    "percept.learning_rate": "1e-3",
    "percept.warmup": "50",
    "world_model.steps": "1000",
    "world_model.batch": "12",
    "world_model.length": "12",
    "world_model.learning_rate": "1e-3",
    "world_model.warmup": "50",
    "scales.decode_fraction": "0.5",
    "agent.steps": "300",
    "agent.actor_sees": "percept",
    "agent.driver": "percept",
    "support.steps": "0",
}
"""What differs from the profile `small`: minutes a fold on one core."""
CLONE = {
    key.replace("percept.", "world_model."): value
    for key, value in SETTINGS.items()
    if key.startswith("percept.")
}
"""The behaviour-cloning network has the updates, windows and rates of our percept; nothing is mirrored."""


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Import, train, score; resumed where --out has something. Raises UsageError and what they raise."""
    from safe_o2o_ros.learning.config import resolve
    from safe_o2o_ros.learning.dataset import load_dataset
    from safe_o2o_ros.report.rc_car_plot import write_rc_car_plot

    if args.out is None:
        raise UsageError("rc-car needs --out: the directory of its stores and checkpoints")
    console = Console()
    store = imported(_data(args), args.out / "store", shift=not args.no_shift)
    dataset = load_dataset(store, LEAST_STEPS)
    # The driver is to be predicted also where he erred.
    dataset = dataclasses.replace(dataset, imitate=np.ones_like(dataset.imitate))
    config = resolve("small", SETTINGS | overrides_of(args.set))
    folds = split(dataset.length.tolist(), [str(m["run"]) for m in dataset.metadata])
    with bars(console) as report:
        scored = [score(config, dataset, folds, number, args.out, report) for number in range(len(folds))]
    result = summary(scored, HORIZONS) | {
        "shift_s": float(dataset.metadata[0]["shifted_s"]),
        "drives": len(dataset.length),
        "folds": [[int(e) for e in fold] for fold in folds],
    }
    picture = args.plot or args.out / "rc_car.png"
    write_rc_car_plot(picture, result, scored)
    console.print(f"drawn: {picture}")
    return result


def _data(args: argparse.Namespace) -> Path:
    """The folder that holds segA and segE."""
    named = args.data or os.environ.get("SAFE_O2O_SHARED")
    if named is None:
        raise UsageError("say with --data where the folder rc_car with segA and segE lies")
    folder = Path(named)
    folder = folder / "rc_car" if (folder / "rc_car").is_dir() else folder
    missing = [name for name in SEGMENTS if not (folder / name / "records.csv").is_file()]
    if missing:
        raise UsageError(f"{folder} has no {missing[0]}/records.csv: check --data")
    return folder


def imported(folder: Path, out: Path, shift: bool) -> Path:
    """The store of both segments; what is in it already stays. Raises UsageError where it is another one."""
    from safe_o2o_ros.cli import import_data, import_options

    there = list(EpisodeReader(out).metadata()) if is_store(out) else []
    if any((m["shifted_s"] > 0.0) != shift for m in there):
        raise UsageError(f"{out} was imported with another --no-shift: choose another --out")
    parser = argparse.ArgumentParser()
    import_options.add(parser)
    for name, more in SEGMENTS.items():
        source = str(folder / name)
        if any(m["source"] == source for m in there):
            continue
        # One period for both: 20 Hz is what the car was set to.
        given = f"--crop none --size {SIZE} --period 0.05 --task RcCar --min-steps {LEAST_STEPS}".split()
        given += [*more, *(["--shift-delay"] if shift else [])]
        options = parser.parse_args([source, "--out", str(out), *given])
        recording = import_data.read(options, STEERING, import_options.shape_of(options))
        import_data.store(options, recording, import_data.process(recording, options), STEERING)
    return out


def split(lengths: Sequence[int], sessions: Sequence[str]) -> list[list[int]]:
    """Drives, in the order of time, to folds of neighbours; a fold has drives of one session only."""
    folds: list[list[int]] = []
    size = 0
    for drive, (length, session) in enumerate(zip(lengths, sessions, strict=True)):
        long, last = length >= FOLD_STEPS, folds[-1] if folds else []
        if not last or size >= FOLD_STEPS or long or sessions[last[-1]] != session:
            folds.append([])
            size = 0
        folds[-1].append(drive)
        size += length
    return folds


def score(
    config: PretrainConfig,
    dataset: Dataset,
    folds: Sequence[Sequence[int]],
    number: int,
    out: Path,
    report: Report,
) -> Fold:
    """Train on all folds but one, and score that one; kept in a file, so that it is done once."""
    from safe_o2o_ros.learning import held_out
    from safe_o2o_ros.learning.config import override
    from safe_o2o_ros.learning.mishaps import MishapHead
    from safe_o2o_ros.learning.pretrain import train, train_clone
    from safe_o2o_ros.world_model.model import WorldModel

    run_dir = out / f"fold{number}"
    done = run_dir / "scores.npz"
    if done.exists():
        return Fold.load(done)
    others = held_out.part(dataset, [e for k, fold in enumerate(folds) if k != number for e in fold])
    held = held_out.part(dataset, folds[number])

    def shown(phase: str, step: int, total: int, scalars: dict[str, float]) -> None:
        report(f"{number + 1}/{len(folds)} {phase}", step, total, scalars)

    ours = train(config, others, run_dir / "ours", _unlogged, shown)
    clone = train_clone(override(config, CLONE), others, run_dir / "clone", _unlogged, shown)
    assert isinstance(ours.graphs.encoder, WorldModel)
    model = ours.graphs.encoder.eval()
    rows, known, seen = held.transitions, labelled(held), others.transitions[labelled(others)]
    head = MishapHead(held_out.percepts(model, others)[seen], others.cost[seen] > 0.0)
    carry = {h: held_out.carried_share(model, others, h) for h in HORIZONS}
    pictures = {h: held_out.predictions(model, held, h, carry[h]) for h in HORIZONS}
    fold = Fold(
        drive=np.repeat(np.asarray(folds[number]), held.length),
        driver=held.action[rows, 0],
        ours=held_out.actions(ours, held)[rows, 0],
        clone=held_out.actions(clone, held)[rows, 0],
        mean=np.full(len(rows), others.action[others.transitions, 0].mean()),
        deleted=held.cost[rows] > 0.0,
        labelled=known,
        risk=head(held_out.percepts(model, held)[rows]),
        picture_drive={h: np.asarray(folds[number])[p.episode] for h, p in pictures.items()},
        predicted={h: p.model for h, p in pictures.items()},
        carried={h: p.carried for h, p in pictures.items()},
        copied={h: p.copy for h, p in pictures.items()},
        strip=np.stack(held_out.dreams(model, held, max(HORIZONS))),
    )
    fold.save(done)
    return fold


def labelled(dataset: Dataset) -> NDArray[np.bool_]:
    """(M,) of the transitions: their recording tells what the driver threw away."""
    told = [bool(SEGMENTS.get(Path(str(m["source"])).name)) for m in dataset.metadata]
    return np.repeat(told, dataset.length)


def _unlogged(phase: str, step: int, scalars: dict[str, float]) -> None:
    """Progress is shown; curves are not kept."""


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD, title=f"{result['drives']} drives, {len(result['folds'])} folds by drive"
    )
    for column in ("on held-out drives", "value", "95 %", "bar", ""):
        table.add_column(column, justify="right" if column in ("value", "95 %", "bar") else "left")
    for row in result["bars"]:
        interval = "" if row["ci95"] is None else f"{row['ci95'][0]:.3f} to {row['ci95'][1]:.3f}"
        met = "met" if row["met"] else "missed"
        table.add_row(row["name"], f"{row['value']:.3f}", interval, f"{row['sign']} {row['bar']:g}", met)
    Console().print(table)
