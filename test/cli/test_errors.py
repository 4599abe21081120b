"""What a user can get wrong: exit code 2 and one line that says what to do, before any work is done."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.tiny_bundle import write_tiny_bundle
from support.tiny_store import make_episode, manifest, write_tiny_store

from safe_o2o_ros.cli.main import COMMANDS, main
from safe_o2o_ros.data import EpisodeWriter

Refuse = Callable[..., str]


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Run the command, check that it ends as a user's error, return the one line on stderr."""

    def run(*arguments: object) -> str:
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as stop:  # how argparse ends
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        assert code == 2
        assert captured.err.startswith("error: ") and captured.err.endswith("\n")
        assert captured.err.count("\n") == 1, captured.err
        return captured.err

    return run


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("cli") / "bundle"
    write_tiny_bundle(directory)  # trained on seeds 0..9
    return directory


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("cli") / "store"
    write_tiny_store(directory, (60, 9))
    return directory


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "required: COMMAND"),
        (("fly",), "invalid choice: 'fly'"),
        (("--fly",), "required: COMMAND"),
        (("evaluate", "--policy", "safe", "--fly"), "unrecognized arguments: --fly"),
        (("evaluate",), "one of the arguments --bundle --policy is required"),
        (("evaluate", "--policy", "safe", "--bundle", "/no/such/bundle"), "no model bundle at"),
        (("evaluate", "--policy", "safe", "brave"), "unknown policy 'brave': choose one of"),
        (("evaluate", "--policy", "safe", "--episodes", "many"), "invalid int value: 'many'"),
        (("evaluate", "--policy", "safe", "--episodes", "0"), "--episodes and --workers must be at least 1"),
        (("evaluate", "--policy", "safe", "--workers", "0"), "--episodes and --workers must be at least 1"),
        (("evaluate", "--policy", "safe", "--seed", "-1"), "--seed must be 0 or more"),
        (("evaluate", "--policy", "safe", "--filter", "maybe"), "invalid choice: 'maybe'"),
        (("evaluate", "--policy", "safe", "--filter", "on"), "--filter on needs --bundle"),
        (("evaluate", "--policy", "brave"), "unknown policy 'brave': choose one of"),
        (("evaluate", "--policy", "safe", "--task", "Chess1"), "Task 'Chess1' is unknown"),
        (("evaluate", "--policy", "safe", "--variant", "lava"), "Variant 'lava' is unknown"),
        (("evaluate", "--policy", "safe", "--variant", "light", "lava"), "Variant 'lava' is unknown"),
        (
            ("evaluate", "--task", "RoomNav", "--policy", "safe", "--variant", "moving_hazards"),
            "Variant 'moving_hazards' cannot be applied to RoomNav",
        ),
        (("evaluate", "--policy", "safe", "--filter", "off", "shadow"), "--filter shadow needs --bundle"),
        (("evaluate", "--task", "CarGoal2", "--policy", "straight"), "unknown policy 'straight'"),
        (("evaluate", "--policy", "safe", "--json", "/no/such/place/a.json"), "--json /no/such/place/a.json"),
        (("evaluate", "--bundle", "/no/such/bundle"), "no model bundle at '/no/such/bundle'"),
        (("pretrain", "--out", "x"), "required: --data"),
        (("pretrain", "--data", "x"), "required: --out"),
        (("pretrain", "--data", "/no/such/store", "--out", "/tmp/never"), "is not the manifest of a store"),
    ],
)
def test_a_bad_argument_is_one_line(arguments: tuple[str, ...], words: str, refuse: Refuse) -> None:
    assert words in refuse(*arguments)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert f"safe-o2o {command}" in capsys.readouterr().out


def test_a_bundle_of_another_task_or_a_damaged_one_is_not_evaluated(
    bundle: Path, tmp_path: Path, refuse: Refuse
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(bundle, damaged)
    (damaged / "policy.onnx").write_bytes(b"")
    assert "sha256" in refuse("evaluate", "--bundle", damaged)
    (damaged / "manifest.json").write_text("{")
    assert "cannot be read as JSON" in refuse("evaluate", "--bundle", damaged)
    write_tiny_bundle(tmp_path / "other", task="CarGoal9")
    assert "was trained for CarGoal9, not PointGoal1" in refuse("evaluate", "--bundle", tmp_path / "other")
    assert "Task 'CarGoal9' is unknown" in refuse(
        "evaluate", "--bundle", tmp_path / "other", "--task", "CarGoal9"
    )


def test_a_report_never_lands_among_other_files(tmp_path: Path, refuse: Refuse) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("precious")
    (tmp_path / "file").touch()
    evaluate = ("evaluate", "--policy", "safe", "--episodes", 1, "--report")
    assert "holds something else than a report" in refuse(*evaluate, tmp_path / "home")
    assert "cannot be made" in refuse(*evaluate, tmp_path / "file")
    assert [p.name for p in (tmp_path / "home").iterdir()] == ["thesis.tex"]
    # What else is wrong is found before a folder is made.
    assert "unknown policy" in refuse("evaluate", "--policy", "brave", "--report", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_every_bundle_is_checked_before_the_first_one_drives(
    bundle: Path, tmp_path: Path, refuse: Refuse
) -> None:
    other = Path(shutil.copytree(bundle, tmp_path / "other"))
    data = json.loads((other / "manifest.json").read_text())
    data["seeds"] = {"training": [[50_001, 50_001]]}
    (other / "manifest.json").write_text(json.dumps(data))
    line = refuse("evaluate", "--bundle", bundle, other, "--seed", 50_000, "--episodes", 2)
    assert "seed 50001 was used for the training" in line


@pytest.mark.parametrize(("seed", "episodes", "blamed"), [(0, 1, 0), (9, 1, 9), (9, 20, 9)])
def test_a_seed_the_bundle_was_trained_on_is_refused(
    seed: int, episodes: int, blamed: int, bundle: Path, refuse: Refuse
) -> None:
    line = refuse("evaluate", "--bundle", bundle, "--seed", seed, "--episodes", episodes)
    assert f"seed {blamed} was used for the training of bundle tiny-1" in line


@pytest.mark.parametrize("purpose", ["selection", "calibration"])
def test_seeds_of_selection_and_calibration_are_refused_too(
    purpose: str, bundle: Path, tmp_path: Path, refuse: Refuse
) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    data = json.loads((copy / "manifest.json").read_text())
    data["seeds"] = {"training": [], purpose: [[1, 2], [41_000, 41_000]]}
    (copy / "manifest.json").write_text(json.dumps(data))
    line = refuse("evaluate", "--bundle", copy, "--seed", 40_990, "--episodes", 11)
    assert f"seed 41000 was used for the {purpose}" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--set", "seed"), "--set takes KEY=VALUE, got 'seed'"),
        (("--set", "colour=red"), "unknown setting 'colour'"),
        (("--set", "agent.batch=0"), "'agent.batch' must be 1 or more"),
        (("--config", "huge"), "unknown config 'huge'"),
        (("--method", "magic"), "invalid choice: 'magic'"),
        (("--device", "abacus"), "unknown device 'abacus'"),
        (("--budget-minutes", "0"), "--budget-minutes must be more than 0"),
        (("--budget-minutes", "nan"), "--budget-minutes must be more than 0"),
        (("--calibration", "/no/such/store"), "is not the manifest of a store"),
        (("--selection", "10019-10000"), "--selection takes FIRST-LAST"),
        (("--set", "world_model.length=500"), "no usable episode of at least 500 steps"),
    ],
)
def test_a_bad_training_argument_is_one_line_and_leaves_no_bundle(
    arguments: tuple[str, ...], words: str, store: Path, tmp_path: Path, refuse: Refuse
) -> None:
    out = tmp_path / "bundle"
    line = refuse("pretrain", "--data", store, "--out", out, "--config", "debug", *arguments)
    assert words in line and not out.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="only where there is no GPU can one be missed")
def test_a_gpu_that_is_not_there_is_named(store: Path, tmp_path: Path, refuse: Refuse) -> None:
    line = refuse("pretrain", "--data", store, "--out", tmp_path / "b", "--device", "cuda")
    assert "no CUDA device is available" in line


def test_an_output_that_holds_something_else_is_refused_before_training(
    store: Path, tmp_path: Path, refuse: Refuse
) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").touch()
    for out in (tmp_path / "file", tmp_path / "home", Path("/")):
        assert "something else than a model bundle" in refuse("pretrain", "--data", store, "--out", out)
    assert "cannot write to" in refuse("pretrain", "--data", store, "--out", tmp_path / "file" / "bundle")
    assert "cannot write to" in refuse(
        "pretrain", "--data", store, "--out", tmp_path / "new", "--run-dir", tmp_path / "file"
    )
    assert (tmp_path / "file").read_text() == "precious" and (tmp_path / "home" / "thesis.tex").exists()


def test_calibration_data_of_another_robot_is_refused_before_training(
    store: Path, tmp_path: Path, refuse: Refuse
) -> None:
    other = replace(manifest(), period_s=0.1)
    with EpisodeWriter(tmp_path / "other", other) as writer:
        writer.append(make_episode(9, 20_000))
    line = refuse("pretrain", "--data", store, "--calibration", tmp_path / "other", "--out", tmp_path / "b")
    assert "calibrate on data of the same kind" in line


def test_a_run_directory_of_another_training_is_refused(store: Path, tmp_path: Path, refuse: Refuse) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    line = refuse(
        "pretrain",
        "--data",
        store,
        "--out",
        tmp_path / "b",
        "--run-dir",
        tmp_path / "run",
        "--config",
        "debug",
    )
    assert "holds a run with another config" in line


@pytest.mark.parametrize(
    "arguments", [("evaluate", "--bundle", "nowhere"), ("pretrain", "--data", "nowhere", "--out", "b")]
)
def test_the_real_process_ends_with_two_and_no_traceback(arguments: tuple[str, ...], tmp_path: Path) -> None:
    code = "import sys; from safe_o2o_ros.cli.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
