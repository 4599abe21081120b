"""`safe-o2o bench reachability`: the confusion matrix by hand, the calibration, and the shipped bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from safe_o2o_ros.bundle import load_bundle
from safe_o2o_ros.cli.bench_reachability import area_under_curve, compared
from safe_o2o_ros.cli.main import main
from safe_o2o_ros.cli.reachability_episodes import LONG_STEPS, STEPS, record, starts
from safe_o2o_ros.cli.reachability_estimate import StateReader, judge_starts
from safe_o2o_ros.cli.reachability_training import ALPHA, calibrated
from safe_o2o_ros.data import EpisodeReader
from safe_o2o_ros.sim.exact import dubins

MODELS = Path(__file__).resolve().parents[2] / "models"


def test_the_confusion_matrix_by_hand() -> None:
    safe = np.array([True] * 6 + [False] * 4)
    called = np.array([True] * 5 + [False] + [True] + [False] * 3)
    result = compared(called, safe)
    assert result["true_safe"] == 0.5 and result["false_unsafe"] == 0.1
    assert result["false_safe"] == 0.1 and result["true_unsafe"] == pytest.approx(0.3)
    assert result["f1"] == pytest.approx(2 * 5 / (2 * 5 + 1 + 1))
    assert result["false_safe_of_unsafe"] == pytest.approx(0.25)


def test_the_area_under_the_curve_by_hand() -> None:
    risk = np.array([0.1, 0.4, 0.4, 0.9], np.float32)
    # Pairs (unsafe, safe): (0.4, 0.1) 1, (0.4, 0.4) 1/2, (0.9, 0.1) 1, (0.9, 0.4) 1.
    assert area_under_curve(risk, np.array([False, False, True, True])) == pytest.approx(3.5 / 4)


def test_the_threshold_keeps_its_bound_on_the_calibration_starts() -> None:
    n = 2000
    risk = np.linspace(0.0, 1.0, n).astype(np.float32)
    touched = risk > 0.6
    touched[[100, 700]] = True
    threshold, provenance = calibrated(risk, touched)
    assert provenance["touched_although_called_safe"] <= ALPHA * provenance["called_safe"]
    assert threshold == pytest.approx(0.6, abs=1e-3)
    assert provenance["starts"] == n


def test_episodes_are_short_and_the_same_seed_drives_the_same(tmp_path: Path) -> None:
    for name in ("a", "b"):
        record(tmp_path / name, 3, first_seed=7)
    a, b = (list(EpisodeReader(tmp_path / name)) for name in ("a", "b"))
    assert [len(e) for e in a] == [LONG_STEPS, STEPS, STEPS]
    for one, other in zip(a, b, strict=True):
        assert (one.images["top"] == other.images["top"]).all()
        assert (one.actions == other.actions).all()
    clearance = a[0].extras["clearance"]
    assert ((clearance[1:] <= 0.0) == (a[0].costs > 0.0)).all()
    assert clearance[0] == pytest.approx(dubins.margin(starts(range(7, 8)))[0], abs=1e-5)


def test_the_shipped_bundle_tells_states_one_can_reason_about_and_avoids_the_disc() -> None:
    bundle = load_bundle(MODELS / "dubins_avoid")
    threshold = bundle.manifest.thresholds.risk
    plain = np.array([[1.3, 0.0, 0.0], [-1.2, 0.9, 0.0], [-0.6, 0.0, 0.0], [0.1, 0.1, 2.0]])
    risk = StateReader(bundle).first(plain)[1].min(axis=1)
    assert (risk <= threshold).tolist() == [True, True, False, False]
    # From states that are safe by a margin, the safest command is driven and never touches.
    states = dubins.grid(9)
    states = states[dubins.best_margin(states) > 0.15]
    _, touched = judge_starts(bundle, states)
    assert not touched.any()


def test_the_command_compares_a_subset_draws_it_and_writes_the_fractions(tmp_path: Path) -> None:
    out, picture = tmp_path / "r.json", tmp_path / "sets.png"
    command = ["bench", "reachability", "--states", "2000", "--json", str(out), "--plot", str(picture)]
    assert main(command) == 0
    result = json.loads(out.read_text(encoding="utf-8"))
    parts = [result[k] for k in ("true_safe", "false_safe", "false_unsafe", "true_unsafe")]
    assert sum(parts) == pytest.approx(1.0)
    assert result["states"] == 2000
    assert result["f1"] > 0.97 and result["false_safe"] < 0.01
    assert picture.stat().st_size > 10_000


def test_wrong_requests_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "reachability", "--states", "10"]) != 0
    assert "--states" in capsys.readouterr().err
    assert main(["bench", "reachability", "--bundle", str(MODELS / "point_goal1")]) != 0
    assert "PointGoal1" in capsys.readouterr().err
