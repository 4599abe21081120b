"""index.html: one small page with table, video and plot; no scripts, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light; --ink: #1c2733; --muted: #62707e; --line: #dde3e9; }}
body {{ margin: 0 auto; padding: 2rem 1.5rem 3rem; max-width: 1080px; color: var(--ink); background: #fff;
       font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }}
h1 {{ font-size: 1.5rem; margin: 0 0 .2rem; }}
p {{ color: var(--muted); margin: .2rem 0 1.2rem; }}
p.note {{ color: var(--ink); border-left: 4px solid #f59e1f; padding-left: .8rem; }}
dl {{ display: flex; flex-wrap: wrap; gap: .8rem; margin: 0 0 1.5rem; }}
dl div {{ border: 1px solid var(--line); border-radius: 8px; padding: .5rem 1rem; }}
dt {{ color: var(--muted); font-size: .85rem; }}
dd {{ margin: 0; font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums; }}
table {{ border-collapse: collapse; margin-bottom: 1.5rem; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: right; padding: .3rem .9rem; border-bottom: 1px solid var(--line); }}
th {{ color: var(--muted); font-weight: 500; }}
img, video {{ display: block; width: 100%; margin-bottom: 1.5rem; border: 1px solid var(--line);
              border-radius: 8px; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{subtitle}</p>
{notes}
<dl>
{summary}
</dl>
<table>
{table}
</table>
{pictures}
<p>{files}</p>
</body>
</html>
"""

_COLUMNS = ("seed", "reward", "cost", "goals", "steps", "overrides", "success")


def page(record: dict[str, Any], title: str, notes: Sequence[str], plot: str, video: str | None) -> str:
    """The page as text. `plot`, `video`: file names beside it; `notes`: sentences the reader should know."""
    success = record["success_rate"]
    columns = [c for c in _COLUMNS if c != "success" or success is not None]
    rows = ["<tr>" + "".join(f"<th>{c}</th>" for c in columns) + "</tr>"]
    for entry in record["per_episode"]:
        rows.append("<tr>" + "".join(f"<td>{_cell(c, entry[c])}</td>" for c in columns) + "</tr>")
    facts = {
        "reward": f"{record['reward_mean']:.2f} ± {record['reward_std']:.2f}",
        "cost": f"{record['cost_mean']:.2f} ± {record['cost_std']:.2f}",
        "overrides per 100 ticks": f"{record['overrides_per_100']:.1f}",
    }
    if success is not None:
        facts["success"] = f"{100 * success:.0f} %"
    last = record["seed"] + record["episodes"] - 1
    seeds = f"seed {record['seed']}" if record["episodes"] == 1 else f"seeds {record['seed']} to {last}"
    pictures = [f'<img src="{plot}" alt="floor plan, reward, cost and safety value of every episode">']
    if video is not None:
        pictures.insert(0, f'<video src="{video}" controls muted loop playsinline></video>')
    return _PAGE.format(
        title=escape(title),
        subtitle=escape(
            f"{record['episodes']} episode{'s' if record['episodes'] != 1 else ''}, {seeds}, "
            f"action repeat {record['action_repeat']}; mean ± standard deviation over episodes"
        ),
        notes="\n".join(f'<p class="note">{escape(note)}</p>' for note in notes),
        summary="\n".join(f"<div><dt>{k}</dt><dd>{v}</dd></div>" for k, v in facts.items()),
        table="\n".join(rows),
        pictures="\n".join(pictures),
        files='Numbers: <a href="result.json">result.json</a>. '
        'Every tick: <a href="episodes/">episodes/*.npz</a>.',
    )


def _cell(column: str, value: Any) -> str:
    if column == "success":
        return "–" if value is None else "yes" if value else "no"
    return f"{value:.2f}" if column == "reward" else f"{value:.0f}"
