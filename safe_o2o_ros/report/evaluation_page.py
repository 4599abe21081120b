"""index.html of an evaluation: the comparison, then the best and the worst episode of every row."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from safe_o2o_ros.report.html import document, episode_table, seeds_of

if TYPE_CHECKING:
    from safe_o2o_ros.report.evaluation import Compared, Shown


def evaluation_page(
    compared: Sequence[Compared], notes: Sequence[str], episodes: str, plots: Sequence[str], result: str
) -> str:
    """The page as text. File names beside it: `episodes` and `plots` (one a row) are PNG, `result` JSON."""
    first = compared[0].record
    count = first["episodes"]
    subtitle = f"{count} episode{'s' if count != 1 else ''} each, {seeds_of(first)}; "
    subtitle += "mean ± standard deviation over episodes"
    subtitle += ", [95 % bootstrap interval of the mean]" if count > 1 else ""
    parts = [
        _summary(compared),
        f'<img src="{episodes}" alt="reward and cost of every episode, with means and their intervals">',
    ]
    for row, plot in zip(compared, plots, strict=True):
        parts += _section(row, plot)
    parts.append(f'<p>All numbers: <a href="{result}">{result}</a>.</p>')
    return document(f"{first['task']}: evaluation", subtitle, notes, "\n".join(parts))


def _summary(compared: Sequence[Compared]) -> str:
    success = compared[0].record["success_rate"] is not None
    heads = ["reward", "cost", *(("success", "contact") if success else ()), "overrides / 100 ticks"]
    rows = ['<tr><th class="name"></th>' + "".join(f"<th>{head}</th>" for head in heads) + "</tr>"]
    for row in compared:
        record = row.record
        cells = [_mean(record, "reward"), _mean(record, "cost")]
        if success:
            cells += [f"{100 * record[key]:.0f} %" for key in ("success_rate", "contact_rate")]
        cells.append(f"{record['overrides_per_100']:.1f}")
        name = f'<td class="name">{escape(row.label)}</td>'
        rows.append(f"<tr>{name}" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return '<table class="rows">\n' + "\n".join(rows) + "\n</table>"


def _mean(record: dict[str, Any], name: str) -> str:
    words = f"{record[f'{name}_mean']:.2f} ± {record[f'{name}_std']:.2f}"
    interval = record[f"{name}_ci95"]
    return words if interval is None else f"{words}<small>[{interval[0]:.2f}, {interval[1]:.2f}]</small>"


def _section(row: Compared, plot: str) -> list[str]:
    figures = [_film(which, shown) for which, shown in row.shown.items() if shown.video is not None]
    table = episode_table(row.record["per_episode"], row.record["success_rate"] is not None)
    return [
        f"<h2>{escape(row.label)}</h2>",
        '<div class="pair">' + "\n".join(figures) + "</div>" if figures else "",
        f'<img src="{plot}" alt="floor plans, rewards, costs and safety values of these episodes">',
        f"<details><summary>every episode</summary>\n{table}\n</details>",
    ]


def _film(which: str, shown: Shown) -> str:
    assert shown.video is not None
    log = shown.log
    numbers = f"reward {log.reward.sum():.2f}, cost {log.cost.sum():.0f}, goals {log.goals}"
    return (
        f'<figure><video src="{escape(shown.video.name)}" controls muted loop playsinline></video>'
        f"<figcaption><b>{which} episode</b> · seed {log.seed} · {numbers}</figcaption></figure>"
    )
