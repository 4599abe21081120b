"""`safe-o2o finetune` drives, learns, asks the gate, compares, and goes on where it was stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.tiny_store import write_tiny_store

from safe_o2o_ros.bundle import ENCODER, sha256
from safe_o2o_ros.cli import finetune_worker
from safe_o2o_ros.cli.finetune_record import paired
from safe_o2o_ros.cli.main import main
from safe_o2o_ros.resources import share_path


def _command(out: Path, offline: Path, episodes: int) -> list[str]:
    return [
        *["finetune", "--task", "PointGoal1", "--episodes", str(episodes), "--every", "1", "--updates", "2"],
        *["--evaluate", "1", "--evaluation-seed", "41000", "--held-out-episodes", "2", "--workers", "1"],
        *["--offline", str(offline), "--set", "warmup=2", "--set", "batch=16", "--out", str(out)],
    ]


def test_a_run_and_its_continuation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny_store(tmp_path / "offline", (40, 20))
    out = tmp_path / "run"
    assert main(_command(out, tmp_path / "offline", 1)) == 0
    first = json.loads((out / "record.json").read_text())
    assert [e["seed"] for e in first["tuning"]["episodes"]] == [5000]
    # Two episodes of two updates are no basis: whatever the gate says, it says why.
    (gate,) = first["tuning"]["gate"]
    assert gate["passed"] or gate["refusal"] in {"permissive", "timid", "return"}
    assert (out / "finetune.png").stat().st_size > 10_000
    driven: list[int] = []
    original = finetune_worker.drive

    def counting(job: finetune_worker.Job) -> finetune_worker.Driven:
        driven.append(job.seed)
        return original(job)

    monkeypatch.setattr("safe_o2o_ros.cli.finetune_loop.drive", counting)
    monkeypatch.setattr("safe_o2o_ros.cli.finetune_data.drive", counting)
    assert main(_command(out, tmp_path / "offline", 2)) == 0
    second = json.loads((out / "record.json").read_text())
    assert [e["seed"] for e in second["tuning"]["episodes"]] == [5000, 5001]
    assert second["tuning"]["episodes"][0] == first["tuning"]["episodes"][0]
    assert 5001 in driven and 22_000 not in driven  # held-out episodes are kept
    assert len(second["tuning"]["frozen"]) == 2


def test_a_goal_that_was_reached_ends_the_episode_even_where_something_was_touched_on_the_way() -> None:
    job = finetune_worker.Job("RoomNav", None, share_path("models", "room_nav"), "careless", 9004, False)
    driven = finetune_worker.drive(job)
    assert driven.record["success"] is False and driven.episode.costs.any()
    assert driven.episode.terminated and not driven.episode.truncated


def test_the_world_model_learns_too_where_it_is_told_to(tmp_path: Path) -> None:
    write_tiny_store(tmp_path / "offline", (40, 20))
    out = tmp_path / "run"
    told = [*_command(out, tmp_path / "offline", 1), "--world-model-updates", "2", "--no-gate"]
    assert main(told) == 0
    record = json.loads((out / "record.json").read_text())
    assert record["world_model_updates"] == 2
    own = sha256(share_path("models", "point_goal1") / ENCODER)
    assert sha256(out / "bundle-001" / ENCODER) != own  # which drives the evaluation
    assert record["tuned"] == "bundle-001"


def test_differences_are_of_the_same_scenes() -> None:
    before = [{"reward": r, "cost": 2.0, "success": None} for r in (1.0, 5.0, 9.0)]
    after = [{"reward": r + 1.0, "cost": 0.0, "success": None} for r in (1.0, 5.0, 9.0)]
    told = paired(before, after, "evaluation")
    assert told["reward"]["difference_ci95"] == [1.0, 1.0]
    assert told["cost"]["difference_ci95"] == [-2.0, -2.0]
    assert told["violations"] == {"frozen": 6.0, "tuned": 0.0}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--set", "nonsense=1"], "choose among"),
        (["--set", "share=much"], "must be of type float"),
        (["--seed", "100"], "was used for the training"),
        (["--episodes", "0"], "must be 1 or more"),
    ],
)
def test_wrong_arguments_are_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tiny_store(tmp_path / "offline", (20,))
    held_out = tmp_path / "offline"
    options = ["--offline", str(held_out), "--held-out", str(held_out), "--out", str(tmp_path / "run")]
    assert main(["finetune", *options, *arguments]) == 2
    assert sentence in capsys.readouterr().err
