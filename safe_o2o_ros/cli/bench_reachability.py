"""`safe-o2o bench reachability`: the learned avoid set of DubinsAvoid against the exact one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from safe_o2o_ros.cli.training import bars
from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.resources import share_path
from safe_o2o_ros.sim.exact import dubins

NODES = 41
"""Of the grid, per axis."""
REFERENCE_HALF_WIDTH_M = 1.1
"""On [-1.1, 1.1]^2 the exact set has the 22 % of unsafe states that the reference states; on ours 12 %."""
REFERENCE = {"false_safe": 0.005, "false_unsafe": 0.022, "f1": 0.982, "false_safe_of_unsafe": 0.023}


def measure(args: argparse.Namespace, picture: Path) -> dict[str, Any]:
    """Train where asked to, compare, draw `picture`.

    Raises UsageError, MissingExtraError and what a bundle raises.
    """
    from safe_o2o_ros.bundle import load_bundle
    from safe_o2o_ros.cli.reachability_episodes import TASK
    from safe_o2o_ros.cli.reachability_estimate import state_risks
    from safe_o2o_ros.report.avoid_set_plot import write_avoid_set_plot
    from safe_o2o_ros.sim.exact.avoid_set import dubins_value

    if args.states is not None and not 1000 <= args.states <= NODES**3:
        raise UsageError(f"--states must be between 1000 and {NODES**3}, got {args.states}")
    console = Console()
    bundle = load_bundle(_trained(args, console) if args.train else _given(args), task=TASK)
    threshold = bundle.manifest.thresholds.risk
    value, states = dubins_value(NODES).reshape(-1), dubins.grid(NODES)
    chosen = np.arange(len(states))
    if args.states is not None:
        chosen = np.sort(np.random.default_rng(0).choice(len(states), args.states, replace=False))
    asked, exact = states[chosen], value[chosen]
    with bars(console) as report:
        risk = state_risks(bundle, asked, lambda done, total: report("states", done, total, {}))
    called_safe, safe = risk <= threshold, exact > 0.0
    inner = np.abs(asked[:, :2]).max(axis=1) <= REFERENCE_HALF_WIDTH_M
    result = {
        "task": TASK,
        "bundle": bundle.version,
        "grid": [NODES] * 3,
        "states": len(chosen),
        "threshold": threshold,
        **compared(called_safe, safe),
        "reference_domain": {
            "half_width_m": REFERENCE_HALF_WIDTH_M,
            "states": int(inner.sum()),
            **compared(called_safe[inner], safe[inner]),
        },
        "area_under_curve": area_under_curve(risk, ~safe),
        "farthest_error_m": _farthest_error(called_safe, exact),
    }
    whole = np.full(len(states), np.nan)
    whole[chosen] = risk
    cube = [NODES] * 3
    write_avoid_set_plot(picture, whole.reshape(cube), value.reshape(cube), threshold, result)
    console.print(f"drawn: {picture}")
    return result


def _given(args: argparse.Namespace) -> Path:
    """The bundle of --bundle, else the shipped one."""
    return args.bundle or share_path("models", "dubins_avoid")


def _trained(args: argparse.Namespace, console: Console) -> Path:
    """A bundle trained anew, into --out."""
    from safe_o2o_ros.cli.extras import TRAIN, require
    from safe_o2o_ros.cli.reachability_training import train_bundle

    require(TRAIN)
    if args.out is None:
        raise UsageError("--train needs --out: the directory of the bundle to write")
    train_bundle(args.out, Path(f"{args.out}-run"), console)
    return Path(args.out)


def compared(called_safe: NDArray[np.bool_], safe: NDArray[np.bool_]) -> dict[str, float]:
    """The confusion matrix as fractions of all states, and what follows from it; positive = safe."""
    n = len(safe)
    true_safe, false_safe = (called_safe & safe).sum() / n, (called_safe & ~safe).sum() / n
    true_unsafe, false_unsafe = (~called_safe & ~safe).sum() / n, (~called_safe & safe).sum() / n
    unsafe = false_safe + true_unsafe
    return {
        "true_safe": float(true_safe),
        "false_safe": float(false_safe),
        "false_unsafe": float(false_unsafe),
        "true_unsafe": float(true_unsafe),
        "f1": float(2.0 * true_safe / max(2.0 * true_safe + false_safe + false_unsafe, 1e-12)),
        "false_safe_of_unsafe": float(false_safe / unsafe) if unsafe > 0.0 else 0.0,
    }


def area_under_curve(risk: NDArray[np.floating], unsafe: NDArray[np.bool_]) -> float:
    """Probability that an unsafe state has a higher risk than a safe one; ties count half."""
    _, rank, counts = np.unique(risk, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - 0.5 * (counts - 1)
    n = int(unsafe.sum())
    if n in (0, len(risk)):
        return float("nan")
    return float((middle[rank[unsafe]].sum() - n * (n + 1) / 2.0) / (n * (len(risk) - n)))


def _farthest_error(called_safe: NDArray[np.bool_], value: NDArray[np.float64]) -> dict[str, float]:
    """Of the states judged wrong, how far from the exact edge the worst ones are, metres of exact value."""
    return {
        "called_safe": float(-value[called_safe & (value <= 0.0)].min(initial=0.0)),
        "called_unsafe": float(value[~called_safe & (value > 0.0)].max(initial=0.0)),
    }


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    from rich.table import Table

    table = Table(title=f"{result['bundle']} against the exact avoid set, {result['states']} states")
    for column in ("of all states", "ours", f"ours, |x|, |y| <= {REFERENCE_HALF_WIDTH_M:g} m", "reference"):
        table.add_column(column, justify="left" if column == "of all states" else "right")
    keys = ("true_safe", "false_safe", "false_unsafe", "true_unsafe", "f1", "false_safe_of_unsafe")
    for key in keys:
        ours, inner = result[key], result["reference_domain"][key]
        theirs = f"{REFERENCE[key]:.4f}" if key in REFERENCE else ""
        table.add_row(key.replace("_", " "), f"{ours:.4f}", f"{inner:.4f}", theirs)
    Console().print(table)
