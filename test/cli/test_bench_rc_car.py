"""`safe-o2o bench rc-car`: splits by drive, numbers by hand, and the whole command on made-up drives."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.recordings import write_folder

from safe_o2o_ros.bootstrap import interval_of
from safe_o2o_ros.cli.bench_rc_car import split
from safe_o2o_ros.cli.main import main
from safe_o2o_ros.cli.rc_car_numbers import Fold, summary


def test_folds_are_neighbouring_drives_of_one_session() -> None:
    lengths, sessions = [2000, 300, 300, 400, 50, 1500, 40, 30], [*"a", *"bbbbbbb"]
    folds = split(lengths, list(sessions))
    assert folds == [[0], [1, 2, 3], [4], [5], [6, 7]]
    assert sorted(d for fold in folds for d in fold) == list(range(8))


def fold(first_drive: int, steps: int = 40, seed: int = 0, **changes: Any) -> Fold:
    rng = np.random.default_rng(seed)
    driver = rng.uniform(-1.0, 1.0, steps)
    deleted = np.arange(steps) >= steps - 10
    base = Fold(
        drive=np.repeat([first_drive, first_drive + 1], steps // 2),
        driver=driver,
        ours=driver + 0.1,
        clone=driver - 0.2,
        mean=np.zeros(steps),
        deleted=deleted,
        labelled=np.full(steps, first_drive > 0),
        risk=deleted + 0.0,
        picture_drive={1: np.repeat([first_drive, first_drive + 1], 3), 5: np.repeat([first_drive], 4)},
        predicted={1: np.full(6, 2.0), 5: np.full(4, 1.0)},
        carried={1: np.full(6, 1.0), 5: np.full(4, 0.25)},
        copied={1: np.full(6, 4.0), 5: np.full(4, 0.5)},
        strip=np.zeros((3, 2, 8, 8, 3), np.uint8),
    )
    return replace(base, **changes)


def test_numbers_are_those_of_all_steps_and_bars_are_judged() -> None:
    folds = [fold(0, seed=0), fold(2, seed=1)]
    result = summary(folds, (1, 5))
    assert result["steering_mae"]["ours"]["value"] == pytest.approx(0.1)
    assert result["steering_ratio"]["to_clone"]["value"] == pytest.approx(0.5)
    mean = np.abs(np.concatenate([f.driver for f in folds])).mean()
    assert result["steering_ratio"]["to_mean"]["value"] == pytest.approx(0.1 / mean)
    # The first two drives come from a recording without labels, and are no frames that were kept.
    whole = {"value": 1.0, "ci95": [1.0, 1.0]}
    assert result["deleted"]["auroc"] == whole
    assert (result["deleted"]["frames"], result["deleted"]["of"]) == (10, 40)
    assert result["pictures"]["1"]["ratio"]["value"] == pytest.approx(0.5)
    met = {b["name"]: b["met"] for b in result["bars"]}
    assert met["picture error 1 ahead / copying: model alone"]
    assert not met["picture error 5 ahead / copying: model alone"]
    assert met["picture error 5 ahead / copying: with what it cannot draw"]
    assert met["steering error / mean predictor's"] and met["AUROC of the frames thrown away"]
    assert [d["drive"] for d in result["per_drive"]] == [0, 1, 2, 3]
    # The command before is not taken from another drive.
    assert folds[0].repeat()[20] == 0.0 and folds[0].repeat()[21] == folds[0].driver[20]


def test_the_mean_of_the_last_half_second_stays_within_its_drive() -> None:
    one = fold(0, steps=40)
    mean = one.lately(np.arange(40.0))
    assert mean[0] == 0.0 and mean[3] == 1.5  # mean of 0..3
    assert mean[19] == 14.5  # mean of 10..19
    assert mean[20] == 20.0 and mean[21] == 20.5  # another drive


def test_a_fold_is_kept_whole(tmp_path: Path) -> None:
    one = fold(0)
    one.save(tmp_path / "scores.npz")
    back = Fold.load(tmp_path / "scores.npz")
    for name, value in vars(one).items():
        kept = getattr(back, name)
        for key in value if isinstance(value, dict) else ():
            np.testing.assert_array_equal(value[key], kept[key])
        if not isinstance(value, dict):
            np.testing.assert_array_equal(value, kept)


def test_intervals_are_over_whole_things() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0])
    low, high = interval_of(lambda drawn: float(values[drawn].mean()), 4) or (0.0, 0.0)
    assert 1.0 <= low < 2.5 < high <= 4.0
    assert interval_of(lambda drawn: 1.0, 1) is None
    assert interval_of(lambda drawn: float("nan"), 4) is None


def test_the_command_runs_resumes_and_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # a narrow table breaks its lines
    for name, first in (("segA", 0), ("segE", 10**6)):
        rows = [
            {
                "timestamp_ms": first + 50 * i + 5000 * (i // 40),
                "user_angle": 0.5 * np.sin(i / 5),
                "user_throttle": 0.4,
                "session_id": name,
                **({"author_deleted": int(i % 40 > 30)} if name == "segE" else {}),
            }
            for i in range(120 if name == "segE" else 60)
        ]
        write_folder(tmp_path / "data" / name, rows)
    tiny = {"world_model.steps": 2, "agent.steps": 2, "world_model.length": 8, "world_model.batch": 2}
    tiny |= {"percept.steps": 2, "percept.length": 8, "percept.batch": 2}
    tiny |= {"model.depth": 2, "model.deter": 8, "model.units": 8, "model.percept": 8, "model.groups": 2}
    given = [a for key, value in tiny.items() for a in ("--set", f"{key}={value}")]
    command = [
        "bench",
        "rc-car",
        "--data",
        str(tmp_path / "data"),
        "--out",
        str(tmp_path / "out"),
        "--no-shift",
        *given,
    ]
    assert main([*command, "--json", str(tmp_path / "result.json")]) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["drives"] == 5 and result["folds"] == [[0, 1], [2, 3, 4]]
    assert (
        sum(d["steps"] for d in result["per_drive"]) == 5 * 39 - 20
    )  # 60 rows are a drive of 40 and one of 20
    assert (tmp_path / "out" / "rc_car.png").stat().st_size > 10_000
    assert "steering error / mean predictor's" in capsys.readouterr().out
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.pt")}
    assert main([*command, "--json", str(tmp_path / "again.json")]) == 0
    assert json.loads((tmp_path / "again.json").read_text()) == result
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.pt")} == before


def test_what_is_missing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SAFE_O2O_SHARED", raising=False)
    assert main(["bench", "rc-car", "--data", str(tmp_path)]) == 2
    assert "rc-car needs --out" in capsys.readouterr().err
    assert main(["bench", "rc-car", "--out", str(tmp_path / "o")]) == 2
    assert "say with --data" in capsys.readouterr().err
    assert main(["bench", "rc-car", "--out", str(tmp_path / "o"), "--data", str(tmp_path)]) == 2
    assert "has no segA/records.csv" in capsys.readouterr().err
