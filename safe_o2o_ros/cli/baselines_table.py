"""The comparison that `safe-o2o baselines` prints, draws and writes, made from its records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from safe_o2o_ros.bootstrap import difference_interval

_QUANTITIES = ("reward", "cost")


def compare(
    records: Mapping[str, dict[str, Any]], lines: Mapping[str, str], ours: str
) -> list[dict[str, Any]]:
    """One entry per method; `lines`: method -> what it is.

    `reward_difference`, `cost_difference`: mean of method - ours over the same seeds and its interval; None
    of ours, and where ours is not among the records.
    """
    entries = []
    for name, record in records.items():
        entry: dict[str, Any] = {"method": name, "line": lines[name]}
        for quantity in _QUANTITIES:
            entry[f"{quantity}_mean"] = record[f"{quantity}_mean"]
            entry[f"{quantity}_ci95"] = record[f"{quantity}_ci95"]
        for quantity in _QUANTITIES:
            entry[f"{quantity}_difference"] = (
                None if name == ours or ours not in records else _difference(record, records[ours], quantity)
            )
        entry["training_cpu_min"] = record["training_cpu_s"] / 60.0
        entries.append(entry)
    return entries


def _difference(record: dict[str, Any], ours: dict[str, Any], quantity: str) -> dict[str, Any]:
    values, others = ([e[quantity] for e in r["per_episode"]] for r in (record, ours))
    interval = difference_interval(values, others)
    return {
        "mean": float(np.mean(values) - np.mean(others)),
        "ci95": None if interval is None else list(interval),
    }


def print_comparison(console: Any, title: str, entries: Sequence[dict[str, Any]], below: str) -> None:
    """The table; means, and under each its interval."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("method", min_width=22, overflow="fold")
    for column in ("reward", "cost", "reward\n- ours", "cost\n- ours", "agent,\nCPU min"):
        table.add_column(column, justify="right")
    for entry in entries:
        cells = [_cell(entry[f"{q}_mean"], entry[f"{q}_ci95"], "") for q in _QUANTITIES]
        for quantity in _QUANTITIES:
            difference = entry[f"{quantity}_difference"]
            cells.append("-" if difference is None else _cell(difference["mean"], difference["ci95"], "+"))
        name = entry["method"] if entry["line"] == entry["method"] else f"{entry['line']}\n{entry['method']}"
        table.add_row(name, *cells, f"{entry['training_cpu_min']:.1f}")
    console.print(title)
    console.print(table)
    console.print(below)


def _cell(mean: float, interval: Sequence[float] | None, sign: str) -> str:
    words = f"{mean:{sign}.2f}"
    # A backslash, or rich would take the bracket for markup.
    return words if interval is None else f"{words}\n\\[{interval[0]:{sign}.2f}, {interval[1]:{sign}.2f}]"
