"""The evaluation record: one JSON for `evaluate` and `sim`, made from episode logs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from safe_o2o_ros.bootstrap import mean_interval
from safe_o2o_ros.report.hindsight import shadow_counts, shadow_summary
from safe_o2o_ros.report.log import EpisodeLog


def episode_record(log: EpisodeLog) -> dict[str, Any]:
    """The entry of `per_episode`; sums are taken in float64, in order. "shadow" only of mode shadow."""
    entry: dict[str, Any] = {
        "seed": log.seed,
        "reward": float(sum(log.reward.tolist())),
        "cost": float(sum(log.cost.tolist())),
        "steps": log.control_steps,
        "success": log.success,
        "overrides": int(np.count_nonzero(log.changed)),
        "goals": log.goals,
    }
    if any(log.would):
        entry["shadow"] = shadow_counts(log)
    return entry


def evaluation_record(
    *,
    task: str,
    variant: str | None,
    bundle: str | None,
    filter_mode: str,
    action_repeat: int,
    seed: int,
    per_episode: Sequence[dict[str, Any]],
    ticks: int,
) -> dict[str, Any]:
    """Means and population standard deviations over episodes.

    `bundle`: version id, None for a baseline. `ticks`: policy ticks of all episodes together.
    `reward_ci95`, `cost_ci95`: bootstrap intervals of the means (bootstrap.py), None for a single episode.
    `contact_rate`: share of episodes with any cost; like `success_rate` None where the task knows no success.
    """
    rewards = [e["reward"] for e in per_episode]
    costs = [e["cost"] for e in per_episode]
    successes = [e["success"] for e in per_episode if e["success"] is not None]
    touched = [e["cost"] > 0.0 for e in per_episode if e["success"] is not None]
    overrides = sum(e["overrides"] for e in per_episode)
    shadows = [e["shadow"] for e in per_episode if "shadow" in e]
    return {
        "task": task,
        "variant": variant,
        "bundle": bundle,
        "filter": filter_mode,
        "action_repeat": action_repeat,
        "episodes": len(per_episode),
        "seed": seed,
        "reward_mean": float(np.mean(rewards)),
        "reward_std": float(np.std(rewards)),
        "reward_ci95": _interval(rewards),
        "cost_mean": float(np.mean(costs)),
        "cost_std": float(np.std(costs)),
        "cost_ci95": _interval(costs),
        "success_rate": float(np.mean(successes)) if successes else None,
        "contact_rate": float(np.mean(touched)) if touched else None,
        "overrides_per_100": 100.0 * overrides / ticks if ticks else 0.0,
        "per_episode": list(per_episode),
        **({"shadow": shadow_summary(shadows)} if shadows else {}),
    }


def extremes(record: dict[str, Any]) -> dict[str, int]:
    """Index in `per_episode` of the "best" and the "worst" episode, by reward - cost; of equals the first.

    "only" in place of both where there are no two.
    """
    scores = [e["reward"] - e["cost"] for e in record["per_episode"]]
    best, worst = int(np.argmax(scores)), int(np.argmin(scores))
    return {"best": best, "worst": worst} if best != worst else {"only": best}


def _interval(values: Sequence[float]) -> list[float] | None:
    interval = mean_interval(values)
    return None if interval is None else list(interval)
