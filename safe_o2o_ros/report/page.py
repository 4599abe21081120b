"""index.html of a run: one small page with table, video and plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from safe_o2o_ros.report.html import document, episode_table, seeds_of


def page(record: dict[str, Any], title: str, notes: Sequence[str], plot: str, video: str | None) -> str:
    """The page as text. `plot`, `video`: file names beside it; `notes`: sentences the reader should know."""
    success = record["success_rate"]
    facts = {
        "reward": f"{record['reward_mean']:.2f} ± {record['reward_std']:.2f}",
        "cost": f"{record['cost_mean']:.2f} ± {record['cost_std']:.2f}",
        "overrides per 100 ticks": f"{record['overrides_per_100']:.1f}",
    }
    if success is not None:
        facts["success"] = f"{100 * success:.0f} %"
    parts = ["<dl>", *(f"<div><dt>{k}</dt><dd>{v}</dd></div>" for k, v in facts.items()), "</dl>"]
    parts.append(episode_table(record["per_episode"], success is not None))
    if video is not None:
        parts.append(f'<video src="{video}" controls muted loop playsinline></video>')
    parts.append(f'<img src="{plot}" alt="floor plan, reward, cost and safety value of every episode">')
    parts.append(
        '<p>Numbers: <a href="result.json">result.json</a>. '
        'Every tick: <a href="episodes/">episodes/*.npz</a>.</p>'
    )
    plural = "s" if record["episodes"] != 1 else ""
    subtitle = (
        f"{record['episodes']} episode{plural}, {seeds_of(record)}, "
        f"action repeat {record['action_repeat']}; mean ± standard deviation over episodes"
    )
    return document(title, subtitle, notes, "\n".join(parts))
