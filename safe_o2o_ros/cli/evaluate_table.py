"""The table that `safe-o2o evaluate` prints, and what its rows are called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from safe_o2o_ros.cli.evaluate_rows import Row
from safe_o2o_ros.report.hindsight import in_words


def labels(rows: Sequence[Row]) -> list[str]:
    """Driver, filter and variant of every row; unguarded references have no filter."""
    return [
        " · ".join(
            [row.driver]
            + ([f"filter {row.filter}"] if row.filtered else [])
            + ([row.variant] if row.variant is not None else [])
        )
        for row in rows
    ]


def print_rows(console: Any, rows: Sequence[Row], records: Sequence[dict[str, Any]]) -> None:
    """Print one line per row: mean ± standard deviation over episodes, below it the mean's interval."""
    from rich import box
    from rich.table import Table

    variants = len({row.variant for row in rows}) > 1
    modes = len({row.mode for row in rows}) > 1
    table = Table(box=box.SIMPLE_HEAD)
    lines = []
    for row, record in zip(rows, records, strict=True):
        cells = {"driver": row.driver}
        if variants:
            cells["variant"] = row.variant or "-"
        if modes:
            cells["filter"] = row.filter
        cells |= {name: _mean(record, name) for name in ("reward", "cost")}
        if record["success_rate"] is not None:
            cells["success"] = f"{100 * record['success_rate']:.0f} %"
            cells["contact"] = f"{100 * record['contact_rate']:.0f} %"
        cells["overrides\n/ 100 ticks"] = f"{record['overrides_per_100']:.1f}"
        lines.append(cells)
    for column in lines[0]:
        table.add_column(column, justify="left" if column in ("driver", "variant", "filter") else "right")
    for cells in lines:
        table.add_row(*cells.values())
    # Not the table's own title, which would wrap where the table is narrow.
    first = records[0]
    last = first["seed"] + first["episodes"] - 1
    words = [first["task"], f"seeds {first['seed']}..{last}"]
    words += [] if variants or rows[0].variant is None else [f"variant {rows[0].variant}"]
    words += [] if modes else [f"filter {rows[0].filter}"]
    console.print(", ".join(words))
    console.print(table)
    for row, record in zip(rows, records, strict=True):
        if "shadow" in record:
            console.print(f"{row.driver}, shadow: {in_words(record['shadow'])}")
    if first["episodes"] > 1:
        console.print("mean ± standard deviation over episodes, and the mean's 95 % bootstrap interval")


def _mean(record: dict[str, Any], name: str) -> str:
    words = f"{record[f'{name}_mean']:.2f} ± {record[f'{name}_std']:.2f}"
    interval = record[f"{name}_ci95"]
    # A backslash, or rich would take the bracket for markup.
    return words if interval is None else f"{words}\n\\[{interval[0]:.2f}, {interval[1]:.2f}]"
