"""index.html of a replay, and the folder it lies in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.errors import StoreError
from safe_o2o_ros.report.html import document
from safe_o2o_ros.report.replay_numbers import Course

PAGE, RECORD, PLOT = "index.html", "replay.json", "replay.png"


def write_replay(
    out: Path,
    record: dict[str, Any],
    course: Course,
    pictures: NDArray[np.uint8],
    picture_seconds: NDArray[np.float64],
) -> Path:
    """Write replay.json, replay.png and index.html into `out`; returns the page. Raises StoreError."""
    # Imported here: matplotlib takes a second, and a replay that fails does not need it.
    from safe_o2o_ros.report.replay_plot import write_replay_plot

    try:
        # The numbers first: they are there even if the picture fails.
        (out / RECORD).write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        write_replay_plot(out / PLOT, record, course, pictures, picture_seconds)
        (out / PAGE).write_text(replay_page(record), encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"the report cannot be written to {out} ({error.strerror}): choose another or free space"
        ) from error
    return out / PAGE


def replay_page(record: Mapping[str, Any]) -> str:
    """The page as text."""
    frames, filtered, age = record["frames"], record["filter"], record["age_ms"]
    share = filtered["would_change_share"]
    facts = {
        "frames played": str(frames["played"]),
        "answered": str(frames["answered"]),
        "lost": str(sum(frames["lost"].values())),
        "age p50 / p99": f"{_number(age['p50'], 1)} / {_number(age['p99'], 1)} ms",
        "filter would change": "–" if share is None else f"{100.0 * share:.1f} %",
    }
    parts = ["<dl>", *(f"<div><dt>{k}</dt><dd>{v}</dd></div>" for k, v in facts.items()), "</dl>"]
    parts.append(
        f'<img src="{PLOT}" alt="pictures, commands of driver and policy, safety value, answers, age">'
    )
    parts += ["<h2>Policy against driver</h2>", _driver_table(record["driver"])]
    parts += [
        "<h2>What the filter would have answered</h2>",
        _counts(filtered["reasons"], frames["answered"]),
    ]
    if set(filtered["novelty"]) - {"none"}:
        parts += [
            "<h2>How unusual it was to the bundle</h2>",
            _counts(filtered["novelty"], frames["answered"]),
        ]
    if record["deadlines"]:
        parts += ["<h2>Brakes between frames</h2>", _counts(record["deadlines"], None)]
    lost = {
        **{f"not played: {name.replace('_', ' ')}": count for name, count in frames["not_played"].items()},
        **frames["lost"],
    }
    if lost:
        parts += ["<h2>Frames without an answer</h2>", _counts(lost, frames["recorded"])]
    parts.append(
        f'<p>All numbers: <a href="{RECORD}">{RECORD}</a>. What the nodes said: '
        '<a href="nodes.log">nodes.log</a>.</p>'
    )
    return document(record["title"], record["subtitle"], record["notes"], "\n".join(parts))


def _driver_table(driver: Mapping[str, Any] | None) -> str:
    if driver is None:
        return "<p>The recording has no commands.</p>"
    heads = ("mean |policy − driver|", "of the best constant", "correlation")
    rows = ['<tr><th class="name">channel</th>' + "".join(f"<th>{h}</th>" for h in heads) + "</tr>"]
    for name, one in driver["channels"].items():
        cells = (
            f"{one['mean_absolute_difference']:.3f} {escape(one['unit'])}",
            f"{one['of_the_best_constant']:.3f} {escape(one['unit'])}",
            _number(one["correlation"], 2),
        )
        rows.append(
            f'<tr><td class="name">{escape(name)}</td>' + "".join(f"<td>{c}</td>" for c in cells) + "</tr>"
        )
    note = (
        f"<p>{driver['frames']} frames with a command of both. The best constant is how much a policy "
        "would differ that always says the driver's median.</p>"
    )
    return "<table>\n" + "\n".join(rows) + "\n</table>\n" + note


def _counts(counts: Mapping[str, int], total: int | None) -> str:
    rows = []
    for name, count in counts.items():
        share = f"<td>{100.0 * count / total:.1f} %</td>" if total else ""
        rows.append(f'<tr><td class="name">{escape(name)}</td><td>{count}</td>{share}</tr>')
    return "<table>\n" + "\n".join(rows) + "\n</table>" if rows else "<p>None.</p>"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
