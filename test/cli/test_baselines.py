"""`safe-o2o baselines` from end to end, on a debug-sized world model."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.tiny_store import write_tiny_store

from safe_o2o_ros.cli import evaluate_worker
from safe_o2o_ros.cli.baselines_table import compare
from safe_o2o_ros.cli.main import main
from safe_o2o_ros.errors import SafeO2OError
from safe_o2o_ros.learning import baselines
from safe_o2o_ros.learning.config import resolve
from safe_o2o_ros.learning.dataset import load_dataset
from safe_o2o_ros.learning.pretrain import train
from safe_o2o_ros.sim.tasks import TASKS


def silent(*_: object) -> None:
    """No log, no progress."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a store, `data`, and a finished run, `run`."""
    directory = tmp_path_factory.mktemp("baselines")
    write_tiny_store(directory / "data")
    train(resolve("debug", {}), load_dataset(directory / "data", 8), directory / "run", silent, silent)
    return directory


def arguments(world: Path, out: Path, *more: object) -> list[str]:
    given = ("--task", "PointGoal1", "--data", world / "data", "--run-dir", world / "run", "--out", out)
    return ["baselines", *map(str, (*given, "--workers", 1, "--device", "cpu", *more))]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Episodes of PointGoal1 that this process drives have 20 control periods."""
    monkeypatch.setitem(TASKS, "PointGoal1", replace(TASKS["PointGoal1"], episode_steps=80))
    evaluate_worker._LAST.clear()
    yield
    evaluate_worker._LAST.clear()


@pytest.mark.timeout(600)  # exports two bundles
@pytest.mark.usefixtures("short")
def test_two_methods_are_trained_driven_and_compared_and_nothing_is_done_twice(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    call = arguments(
        world, out, "--methods", "ours,lagrangian", "--seed", 50_000, "--episodes", 1, "--json",
        tmp_path / "j.json",
    )  # fmt: skip
    assert main(call) == 0
    shown = capsys.readouterr().out
    assert "Lagrangian in imagination" in shown and "seeds 50000..50000" in shown
    result = json.loads((tmp_path / "j.json").read_text())
    assert result == json.loads((out / "baselines.json").read_text())
    ours, other = result["methods"]
    assert (ours["method"], other["method"]) == ("ours", "lagrangian")
    assert ours["reward_difference"] is None
    assert other["reward_difference"]["mean"] == pytest.approx(other["reward_mean"] - ours["reward_mean"])
    assert (out / "baselines.png").read_bytes().startswith(b"\x89PNG")
    records = {name: json.loads((out / name / "record.json").read_text()) for name in ("ours", "lagrangian")}
    assert [e["seed"] for e in records["ours"]["per_episode"]] == [50_000]
    assert all(record["filter"] == "limits_only" for record in records.values())
    assert records["ours"]["bundle"] != records["lagrangian"]["bundle"]

    # Ours is what `safe-o2o pretrain` trained, bit for bit.
    agents = [
        torch.load(path / "agent.pt", weights_only=True)["agent"] for path in (world / "run", out / "ours")
    ]
    assert agents[0].keys() == agents[1].keys()
    assert all(torch.equal(agents[0][name], agents[1][name]) for name in agents[0])

    def never(*_: object, **__: object) -> None:
        raise AssertionError("done already")

    with monkeypatch.context() as patch:
        patch.setattr(baselines, "lay_ground", never)
        patch.setattr("safe_o2o_ros.cli.evaluate.drive_rows", never)
        assert main(call) == 0
        # An interrupted write leaves half a record, which is none.
        (out / "ours" / "record.json").write_text('{"task": "Poi')
        with pytest.raises(AssertionError, match="done already"):
            main(call)
    # Other settings do not fit what is there.
    capsys.readouterr()
    assert main([*call, "--set", "agent.gamma=0.5"]) == 2
    assert "holds a run with another config" in capsys.readouterr().err


def test_latents_are_kept_and_computed_anew_for_other_weights(world: Path, tmp_path: Path) -> None:
    foundation = baselines.load_foundation(world / "run")
    dataset, model = load_dataset(world / "data", 8), foundation.model("cpu")
    path = tmp_path / "latents.pt"
    first = baselines.cached_latents(path, "a", model, dataset, "cpu", 0)
    with torch.no_grad():
        next(model.rssm.parameters()).add_(1.0)
    kept = baselines.cached_latents(path, "a", model, dataset, "cpu", 0)
    assert torch.equal(kept.feature, first.feature) and torch.equal(kept.scrambled, first.scrambled)
    other = baselines.cached_latents(path, "b", model, dataset, "cpu", 0)
    assert not torch.equal(other.feature, first.feature)
    assert torch.equal(baselines.cached_latents(path, "b", model, dataset, "cpu", 0).feature, other.feature)


def test_a_finished_agent_of_the_same_training_is_taken_over_and_no_other(
    world: Path, tmp_path: Path
) -> None:
    config = resolve("debug", {})
    ours, other = tmp_path / "ours", tmp_path / "no_data_critics"
    for folder in (ours, other):
        baselines.claim_folder(folder, config, "a")
    take = baselines._take_agent
    take(other, ours, config, "a")  # nothing there yet
    state = torch.load(world / "run" / "agent.pt", weights_only=True)
    torch.save({**state, "step": 10}, ours / "agent.pt")
    take(other, ours, config, "a")  # unfinished
    shutil.copy(world / "run" / "agent.pt", ours)
    take(other, ours, config, "b")  # on other latents
    take(other, ours, dataclasses.replace(config, seed=1), "a")  # of other settings
    assert not (other / "agent.pt").exists()
    take(other, ours, config, "a")
    assert torch.load(other / "agent.pt", weights_only=True)["step"] == 20
    torch.save({**state, "step": 5}, other / "agent.pt")
    take(other, ours, config, "a")  # its own has begun
    assert torch.load(other / "agent.pt", weights_only=True)["step"] == 5


def test_the_key_changes_with_weights_data_and_seed(world: Path, tmp_path: Path) -> None:
    foundation = baselines.load_foundation(world / "run")
    config = foundation.config
    key = baselines.data_key(foundation, config, world / "data")
    assert key == baselines.data_key(foundation, config, world / "data")
    write_tiny_store(tmp_path / "data", first_seed=7)
    assert key != baselines.data_key(foundation, config, tmp_path / "data")
    other = baselines.agent_config(foundation, None, {"seed": "1"})
    assert key != baselines.data_key(foundation, other, world / "data")
    shutil.copytree(world / "run", tmp_path / "run")
    shutil.copy(world / "run" / "percept.pt", tmp_path / "run" / "world_model.pt")
    moved = baselines.Foundation(config, tmp_path / "run" / "world_model.pt", {})
    assert key != baselines.data_key(moved, config, world / "data")


@pytest.mark.parametrize("missing", ["percept.pt", "world_model.pt", "config.json"])
def test_what_a_run_lacks_is_named(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "data").symlink_to(world / "data")
    shutil.copytree(world / "run", broken / "run")
    (broken / "run" / missing).unlink()
    assert main(arguments(broken, tmp_path / "out")) == 2
    assert f"lacks {missing}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_unfinished_world_model_is_refused(world: Path, tmp_path: Path) -> None:
    shutil.copytree(world / "run", tmp_path / "run")
    state = torch.load(tmp_path / "run" / "world_model.pt", weights_only=True)
    torch.save({**state, "step": 5}, tmp_path / "run" / "world_model.pt")
    baselines.load_foundation(tmp_path / "run")  # its agent was trained, so a budget had ended it
    (tmp_path / "run" / "agent.pt").unlink()
    with pytest.raises(SafeO2OError, match="stands at update 5 of 10"):
        baselines.load_foundation(tmp_path / "run")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--methods", "ours,magic"), "unknown method 'magic': choose among ours, clone"),
        (("--set", "model.deter=64"), "part of the finished run"),
        (("--set", "agent.weights=heavy"), "must be one of feasible, reward, equal"),
        (("--config", "huge"), "unknown config 'huge'"),
        (("--task", "PointGoal2"), "was recorded on PointGoal1, not on PointGoal2"),
        (("--seed", "2"), "overlap with 0 to 3 of the data"),
        (("--episodes", "0"), "at least 1"),
    ],
)
def test_a_mistake_is_found_before_anything_is_trained(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], words: str
) -> None:
    assert main(arguments(world, tmp_path / "out", *more)) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_of_another_world_model_is_refused(tmp_path: Path) -> None:
    config = resolve("debug", {})
    baselines.claim_folder(tmp_path / "ours", config, "a")
    baselines.claim_folder(tmp_path / "ours", config, "a")
    with pytest.raises(SafeO2OError, match="another world model, data set or seed"):
        baselines.claim_folder(tmp_path / "ours", config, "b")


def record(rewards: list[float], costs: list[float]) -> dict[str, Any]:
    return {
        "per_episode": [{"reward": r, "cost": c} for r, c in zip(rewards, costs, strict=True)],
        **{f"{name}_mean": 0.0 for name in ("reward", "cost")},
        **{f"{name}_ci95": None for name in ("reward", "cost")},
        "training_cpu_s": 90.0,
    }


def test_differences_are_paired_and_have_the_sign_of_method_minus_ours() -> None:
    records = {
        "ours": record([1.0, 5.0, 9.0], [0.0, 0.0, 3.0]),
        "x": record([2.0, 6.0, 10.0], [0.0, 0.0, 0.0]),
    }
    ours, x = compare(records, {"ours": "ours", "x": "less"}, "ours")
    assert ours["reward_difference"] is None and x["training_cpu_min"] == 1.5
    # Every pair differs by one, whatever the episodes have in common.
    assert x["reward_difference"] == {"mean": 1.0, "ci95": [1.0, 1.0]}
    assert x["cost_difference"]["mean"] == -1.0 and x["cost_difference"]["ci95"] == [-3.0, 0.0]
    (alone,) = compare({"x": records["x"]}, {"x": "less"}, "ours")
    assert alone["reward_difference"] is None
