"""`safe-o2o calibrate` on a bundle with random weights: what is driven, chosen, written and refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.bundle import load_bundle
from safe_o2o_ros.cli import calibrate_worker
from safe_o2o_ros.cli.calibrate_worker import Job, drive, executed_risk
from safe_o2o_ros.cli.main import main
from safe_o2o_ros.sim.tasks import TASKS
from safe_o2o_ros.types import Decision, Reason


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Episodes of PointGoal1 of 40 control periods."""
    monkeypatch.setitem(TASKS, "PointGoal1", replace(TASKS["PointGoal1"], episode_steps=160))
    calibrate_worker._LAST.clear()
    yield
    calibrate_worker._LAST.clear()


@pytest.mark.usefixtures("short")
def test_a_bundle_gets_the_threshold_and_says_what_it_rests_on(tmp_path: Path) -> None:
    write_tiny_bundle(tmp_path / "bundle")
    command = ["calibrate", "--bundle", tmp_path / "bundle", "--out", tmp_path / "out", "--workers", 1]
    command += ["--episodes", 4, "--fresh", 1, "--alpha", 0.6, "--json", tmp_path / "found.json"]
    assert main([*map(str, command)]) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    before, after = load_bundle(tmp_path / "bundle").manifest, load_bundle(tmp_path / "out").manifest
    assert after.thresholds.risk == found["threshold"] and after.files == before.files
    assert found["bundle"] == after.version != before.version
    provenance = after.thresholds.provenance
    assert (provenance["episodes"], provenance["commands"], provenance["alpha"]) == (4, 160, 0.6)
    assert set(provenance["fresh"]) >= {"as_calibrated", "closed_loop"}
    assert after.seeds["calibration"] == [[20_000, 20_003]] and after.seeds["training"] == [[0, 9]]
    # The same once more is the same bundle.
    again = [*command[:4], tmp_path / "again", *command[5:]]
    assert main([*map(str, again)]) == 0
    assert load_bundle(tmp_path / "again").manifest == after


@pytest.mark.usefixtures("short")
def test_what_is_judged_is_the_command_that_was_executed(tmp_path: Path) -> None:
    write_tiny_bundle(tmp_path / "bundle")
    strict = drive(Job("PointGoal1", tmp_path / "bundle", "careless", 20_000, 0.3))
    assert strict.risk.shape == strict.cost.shape == strict.changed.shape == (40,)
    assert strict.changed.any() and strict.signs.shape == (40, 0)
    # A certified command is at most as risky as the threshold, also where it was substituted.
    loose = drive(Job("PointGoal1", tmp_path / "bundle", "careless", 20_000, 1.0))
    assert not loose.changed.any() and loose.risk.max() > 0.3


def test_the_risk_of_an_answer_is_found_among_its_candidates() -> None:
    scores = np.array([[0.1, 0.2, 0.9], [0.0, 0.5, 0.25]], np.float32)
    answer = Decision(1, np.array([0.0, 0.5], np.float32), True, Reason.SUBSTITUTE, "", 0.5, 0.5, 2, "v")
    assert executed_risk(replace(answer, scores=scores)) == 0.25
    assert executed_risk(answer) == 1.0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--episodes", "10"], "10 episodes cannot promise 0.02: give --episodes 50 or more"),
        (["--alpha", "1.5"], "--alpha must lie between 0 and 1"),
        (["--seed", "0"], "seed 0 was used for the training of tiny-1: give another --seed"),
    ],
)
def test_what_cannot_be_promised_is_refused_before_anything_is_driven(
    tmp_path: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tiny_bundle(tmp_path / "bundle")
    command = ["calibrate", "--bundle", str(tmp_path / "bundle"), "--out", str(tmp_path / "out"), *arguments]
    assert main(command) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
