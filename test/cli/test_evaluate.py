"""`safe-o2o evaluate` from end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.cli.main import main

FIELDS = [
    "task",
    "variant",
    "bundle",
    "filter",
    "action_repeat",
    "episodes",
    "seed",
    "reward_mean",
    "reward_std",
    "cost_mean",
    "cost_std",
    "success_rate",
    "contact_rate",
    "overrides_per_100",
    "per_episode",
]


def evaluate(out: Path, *arguments: object) -> dict[str, Any]:
    assert main(["evaluate", *map(str, arguments), "--json", str(out)]) == 0
    return dict(json.loads(out.read_text()))


def test_a_reference_repeats_and_episode_i_uses_seed_plus_i_on_any_number_of_workers(tmp_path: Path) -> None:
    driver = ("--policy", "random", "--seed", 50_000)
    alone = evaluate(tmp_path / "a.json", *driver, "--episodes", 3, "--workers", 1)
    shared = evaluate(tmp_path / "b.json", *driver, "--episodes", 3, "--workers", 2)
    assert alone == shared
    assert [e["seed"] for e in alone["per_episode"]] == [50_000, 50_001, 50_002]
    later = evaluate(
        tmp_path / "c.json", "--policy", "random", "--seed", 50_002, "--episodes", 1, "--workers", 1
    )
    assert later["per_episode"] == alone["per_episode"][2:]
    assert [*FIELDS, "policy"] == list(alone) and alone["policy"] == "random" and alone["bundle"] is None
    rewards = [e["reward"] for e in alone["per_episode"]]
    assert alone["reward_mean"] == pytest.approx(sum(rewards) / 3)
    assert alone["reward_std"] == pytest.approx(np.std(rewards))
    assert all(e["steps"] == 1000 and e["success"] is None for e in alone["per_episode"])
    assert alone["success_rate"] is None and alone["contact_rate"] is None
    assert alone["overrides_per_100"] == 0.0


def test_a_bundle_is_scored_behind_its_filter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tiny_bundle(tmp_path / "bundle", risk_threshold=0.3)
    record = evaluate(
        tmp_path / "a.json",
        *("--bundle", tmp_path / "bundle", "--filter", "on", "--seed", 50_000),
        *("--episodes", 1, "--workers", 1),
    )
    assert list(record) == FIELDS
    assert (record["bundle"], record["filter"], record["action_repeat"]) == ("tiny-1", "filter", 4)
    (episode,) = record["per_episode"]
    assert episode["overrides"] > 0
    assert record["overrides_per_100"] == pytest.approx(100.0 * episode["overrides"] / 250)
    shown = capsys.readouterr().out
    assert "PointGoal1, seeds 50000..50000" in shown and f"{record['reward_mean']:.2f}" in shown


def test_a_blind_bundle_drives_on_black_pictures_and_the_record_says_so(tmp_path: Path) -> None:
    write_tiny_bundle(tmp_path / "bundle", risk_threshold=0.3)
    driver = ("--bundle", tmp_path / "bundle", "--seed", 50_000, "--episodes", 1, "--workers", 1)
    seeing = evaluate(tmp_path / "a.json", *driver)
    blind = evaluate(tmp_path / "b.json", *driver, "--blind")
    assert list(blind) == [*FIELDS, "blind"] and blind["blind"] is True
    assert blind["per_episode"] != seeing["per_episode"]


def test_a_scripted_reference_cannot_be_blinded(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--policy", "random", "--blind"]) == 2
    assert "--blind needs --bundle" in capsys.readouterr().err


def test_a_task_with_success_is_scored_by_success_and_contact(tmp_path: Path) -> None:
    driver = ("--task", "RoomNav", "--seed", 50_000, "--episodes", 4, "--workers", 1, "--policy")
    straight = evaluate(tmp_path / "a.json", *driver, "straight")
    assert straight["action_repeat"] == 1
    episodes = straight["per_episode"]
    assert straight["success_rate"] == np.mean([e["success"] for e in episodes])
    assert straight["contact_rate"] == np.mean([e["cost"] > 0 for e in episodes])
    assert not any(e["success"] and e["cost"] > 0 for e in episodes)
    safe = evaluate(tmp_path / "b.json", *driver, "safe")
    assert (safe["success_rate"], safe["contact_rate"]) == (1.0, 0.0)
    assert main(["evaluate", "--task", "PointGoal1", "--policy", "straight"]) == 2
