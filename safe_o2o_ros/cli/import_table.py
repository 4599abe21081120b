"""The account of an import on the console."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def show(console: Console, content: dict[str, Any]) -> None:
    """Print a report (see data/import_report.py)."""
    title = f"{content['source']}: messages in = used + dropped"
    console.print(title, markup=False, highlight=False, soft_wrap=True)
    table = Table()
    for name in ("topic", "role", "in", "used", "Hz", "delay ms"):
        table.add_column(name, justify="left" if name in ("topic", "role") else "right", overflow="fold")
    table.add_column("dropped", overflow="fold")
    for topic in content["topics"]:
        delay = topic["delay_ms"]
        table.add_row(
            topic["name"],
            topic["role"],
            str(topic["messages"]),
            str(topic["used"]),
            "" if topic["rate_hz"] is None else f"{topic['rate_hz']:.1f}",
            "" if delay is None else f"{delay[0]:.1f} / {delay[1]:.1f}",
            "\n".join(f"{count} {reason}" for reason, count in topic["drops"].items()),
        )
    console.print(table)
    for line in lines(content):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def lines(content: dict[str, Any]) -> list[str]:
    """What stands below the table."""
    clock = content["pairs_of"] or "nothing"
    found = [
        f"{len(content['episodes'])} episodes, {content['pairs']} pairs of {clock} and command "
        f"at {content['period_s']:g} s",
        f"{content['repeated_frames']} steps begin with a repeated frame, "
        f"{content['costly_steps']} cost something",
    ]
    if content["gap_count"]:
        longest = max(gap["length_s"] for gap in content["gaps"])
        found.append(f"{content['gap_count']} gaps, the longest {longest:.2f} s")
    if content["clipped_commands"]:
        found.append(
            f"{content['clipped_commands']} commands were beyond the adapter's scale and are clipped"
        )
    for contact in content["contacts"]:
        found.append(
            f"{contact['source']}: on in {contact['messages']} messages, {contact['touches']} touches"
        )
    for topic in content["topics"]:
        found += [f"{topic['name']}: {note}" for note in topic["notes"]]
    found += content["notes"]
    delay = content["delay"]
    if delay is not None:
        low, high = (f"{1e3 * bound:.0f}" for bound in delay["interval_s"])
        found.append(
            f"actuation delay {1e3 * delay['delay_s']:.0f} ms ± {1e3 * delay['std_s']:.0f} "
            f"(95 %: {low} to {high} ms): {delay['channel']} against {delay['against']}, "
            f"correlation {delay['correlation']:+.2f}"
        )
    else:
        found.append("actuation delay: not to be told from this recording")
    if content["shifted_steps"]:
        found.append(f"actions are shifted by {content['shifted_steps']} steps")
    return found
