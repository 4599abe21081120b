"""The evaluation record as a table in the terminal."""

from __future__ import annotations

from typing import Any


def print_table(record: dict[str, Any]) -> None:
    """Print one line per episode and the means of an evaluation record."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    variant = f", variant {record['variant']}" if record["variant"] else ""
    driver = f"bundle {record['bundle']}" if record["bundle"] else record.get("policy", "no bundle")
    table = Table(box=box.SIMPLE_HEAD, show_footer=record["episodes"] > 1)
    success = record["success_rate"] is not None
    mean, std = (f"{record['reward_mean']:.2f}", f"{record['cost_mean']:.2f}"), ("reward_std", "cost_std")
    table.add_column("seed", justify="right", footer="mean")
    table.add_column("reward", justify="right", style="bold", footer=f"{mean[0]} ± {record[std[0]]:.2f}")
    table.add_column("cost", justify="right", style="bold", footer=f"{mean[1]} ± {record[std[1]]:.2f}")
    table.add_column("goals", justify="right")
    table.add_column("steps", justify="right")
    table.add_column("overrides", justify="right", footer=f"{record['overrides_per_100']:.1f} / 100 ticks")
    if success:
        table.add_column("success", justify="right", footer=f"{100 * record['success_rate']:.0f} %")
        table.add_column("contact", justify="right", footer=f"{100 * record['contact_rate']:.0f} %")
    for entry in record["per_episode"]:
        row = [
            str(entry["seed"]),
            f"{entry['reward']:.2f}",
            f"{entry['cost']:.0f}",
            str(entry["goals"]),
            str(entry["steps"]),
            str(entry["overrides"]),
        ]
        if success:
            row += [_answer(entry["success"]), _answer(entry["cost"] > 0.0)]
        table.add_row(*row)
    console = Console()
    # Not the table's own title, which would wrap where the table is narrow.
    console.print(f"[bold]{record['task']}{variant}[/bold]: {driver}, filter {record['filter']}")
    console.print(table)


def _answer(success: bool | None) -> str:
    return "-" if success is None else "yes" if success else "no"
