"""`safe-o2o bench reachability --train`: from nothing to a bundle that knows DubinsAvoid's avoid set."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from safe_o2o_ros.bundle import load_bundle
from safe_o2o_ros.cli import reachability_episodes as episodes
from safe_o2o_ros.cli.reachability_estimate import PERIODS, judge_starts
from safe_o2o_ros.cli.training import bars
from safe_o2o_ros.data import EpisodeReader
from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.manifest import Thresholds

EPISODES = 12_000
CALIBRATION_SEED, CALIBRATION_STARTS = 20_000, 4_000
ALPHA = 0.002
"""Share of the starts called safe that may touch the disc although the safest action is taken from there."""
SETTINGS = {
    "percept.steps": "2500",
    "percept.batch": "128",
    "percept.length": "4",
    # The world model plays no part here: what is asked of is one image.
    "world_model.steps": "200",
    "world_model.batch": "64",
    "world_model.length": "4",
    "reach.steps": "5000",
    "reach.batch": "512",
    "agent.steps": "1",
    "agent.driver": "percept",
    "agent.margin_near_m": "0",
    # Every state of the domain is in the data, and every command.
    "support.steps": "0",
    "novelty": "false",
}
"""What differs from the profile `small`."""


def train_bundle(out: Path, run_dir: Path, console: Console) -> None:
    """Record, train (resumed where `run_dir` has checkpoints), calibrate, write the bundle to `out`.

    Raises UsageError where something else stands in `run_dir`.
    """
    from safe_o2o_ros.bundle import check_target
    from safe_o2o_ros.learning.config import resolve
    from safe_o2o_ros.learning.dataset import load_dataset
    from safe_o2o_ros.learning.package import package, seed_ranges
    from safe_o2o_ros.learning.pretrain import train

    check_target(out)
    data = run_dir / "data"
    with bars(console) as report:
        if not data.exists():
            episodes.record(data, EPISODES, 0, lambda done, total: report("record", done, total, {}))
        elif len(EpisodeReader(data)) < EPISODES:
            raise UsageError(f"{data} is a recording that was not finished: delete it and start again")
        config = resolve("small", SETTINGS)
        dataset = load_dataset(
            data, config.world_model.length, lambda done, total: report("load", done, total, {})
        )
        run = train(config, dataset, run_dir, lambda *_: None, report)
        seeds = {
            "training": seed_ranges(dataset),
            "calibration": [[CALIBRATION_SEED, CALIBRATION_SEED + CALIBRATION_STARTS - 1]],
        }
        starts = episodes.starts(range(CALIBRATION_SEED, CALIBRATION_SEED + CALIBRATION_STARTS))
        with tempfile.TemporaryDirectory() as scratch:
            draft = Path(scratch) / "uncalibrated"
            package(run, draft, _thresholds(1.0, {}), seeds)
            risk, touched = judge_starts(
                load_bundle(draft), starts, lambda done, total: report("calibrate", done, total, {})
            )
    threshold, provenance = calibrated(risk, touched)
    manifest, _ = package(run, out, _thresholds(threshold, provenance), seeds)
    console.print(
        f"bundle [bold]{manifest.version}[/bold] written to {out}; threshold {threshold:.3f} from "
        f"{provenance['starts']} starts"
    )


def calibrated(risk: NDArray[np.float32], touched: NDArray[np.bool_]) -> tuple[float, dict[str, Any]]:
    """The largest threshold that keeps ALPHA on starts with `risk` (N,) of which some `touched` (N,)."""
    from safe_o2o_ros.learning.calibrate import risk_threshold

    threshold = risk_threshold(risk, touched, ALPHA)
    called_safe = risk <= threshold
    return threshold, {
        "source": "starts spread over the domain, the bundle's own safest action driven from each",
        "event": "the disc is touched although the start was called safe",
        "horizon_periods": PERIODS,
        "alpha": ALPHA,
        "starts": len(risk),
        "touched": int(touched.sum()),
        "called_safe": int(called_safe.sum()),
        "touched_although_called_safe": int((called_safe & touched).sum()),
    }


def _thresholds(risk: float, provenance: dict[str, Any]) -> Thresholds:
    never = float(np.finfo(np.float32).max)
    return Thresholds(risk=risk, surprise_caution=never, surprise_stop=never, provenance=provenance)
