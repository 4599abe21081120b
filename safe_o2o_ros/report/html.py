"""The frame of every page: its look, no scripts, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

_STYLE = """\
:root { color-scheme: light; --ink: #1c2733; --muted: #62707e; --line: #dde3e9; }
body { margin: 0 auto; padding: 2rem 1.5rem 3rem; max-width: 1080px; color: var(--ink); background: #fff;
       font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; }
p { color: var(--muted); margin: .2rem 0 1.2rem; }
p.note { color: var(--ink); border-left: 4px solid #f59e1f; padding-left: .8rem; }
dl { display: flex; flex-wrap: wrap; gap: .8rem; margin: 0 0 1.5rem; }
dl div { border: 1px solid var(--line); border-radius: 8px; padding: .5rem 1rem; }
dt { color: var(--muted); font-size: .85rem; }
dd { margin: 0; font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; margin-bottom: 1.5rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem .9rem; border-bottom: 1px solid var(--line); }
th { color: var(--muted); font-weight: 500; }
img, video { display: block; width: 100%; margin-bottom: 1.5rem; border: 1px solid var(--line);
              border-radius: 8px; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
table.rows { width: 100%; }
td.name, th.name { text-align: left; padding-left: 0; }
td small { display: block; color: var(--muted); white-space: nowrap; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 1rem; }
figure { margin: 0 0 1rem; }
figure video { margin-bottom: .3rem; }
figcaption { color: var(--muted); font-size: .9rem; }
figcaption b { color: var(--ink); }
details { margin-bottom: 1.5rem; }
summary { cursor: pointer; color: var(--muted); margin-bottom: .5rem; }
"""


_COLUMNS = ("seed", "reward", "cost", "goals", "steps", "overrides", "success")


def document(title: str, subtitle: str, notes: Sequence[str], body: str) -> str:
    """A whole page. `title`, `subtitle`, `notes` (what the reader should know) are text, `body` is HTML."""
    warnings = "\n".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>
{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p>{escape(subtitle)}</p>
{warnings}
{body}
</body>
</html>
"""


def episode_table(per_episode: Sequence[dict[str, Any]], success: bool) -> str:
    """The table of a record's episodes; `success`: the task knows it."""
    columns = [c for c in _COLUMNS if c != "success" or success]
    rows = ["<tr>" + "".join(f"<th>{c}</th>" for c in columns) + "</tr>"]
    for entry in per_episode:
        rows.append("<tr>" + "".join(f"<td>{_cell(c, entry[c])}</td>" for c in columns) + "</tr>")
    return "<table>\n" + "\n".join(rows) + "\n</table>"


def seeds_of(record: dict[str, Any]) -> str:
    """The seeds in words."""
    last = record["seed"] + record["episodes"] - 1
    return f"seed {record['seed']}" if record["episodes"] == 1 else f"seeds {record['seed']} to {last}"


def _cell(column: str, value: Any) -> str:
    if column == "success":
        return "–" if value is None else "yes" if value else "no"
    return f"{value:.2f}" if column == "reward" else f"{value:.0f}"
