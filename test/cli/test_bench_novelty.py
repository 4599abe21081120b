"""`safe-o2o bench novelty` and `bench filter`: the arithmetic, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.cli.bench_novelty import Told, blocks, separation, summary
from safe_o2o_ros.cli.main import main


def told(score: list[float], moving: list[bool] | None = None, level: list[int] | None = None) -> Told:
    n = len(score)
    return Told(
        score=np.array(score),
        raw=np.array(score) * 2.0,
        level=np.array(level or [0] * n, np.int8),
        moving=np.array(moving or [True] * n),
        cost=float(n),
        reward=1.0,
    )


def test_the_area_counts_pairs_and_ties_by_half() -> None:
    # Pairs (ordinary, other): 1 < 3, 1 < 2, 2 < 3, 2 = 2.
    assert separation([np.array([1.0, 2.0])], [np.array([3.0, 2.0])]) == pytest.approx(3.5 / 4)
    assert separation([np.array([0.0])], [np.array([1.0]), np.array([2.0])]) == 1.0
    assert np.isnan(separation([np.array([])], [np.array([1.0])]))


def test_a_block_counts_with_its_largest_score_where_the_robot_moved() -> None:
    # Blocks of 3: the last row is no whole block; in the second the robot mostly stood.
    one = told([1, 5, 2, 9, 9, 9, 3], [True, True, False, True, False, False, True])
    assert blocks(one, 3).tolist() == [5.0]


def test_levels_are_shares_of_time_and_of_episodes() -> None:
    some = [told([1, 1, 1, 1], level=[0, 1, 2, 2]), told([1, 1, 1, 1], level=[0, 0, 0, 1])]
    row = summary(some, [told([0, 0, 0, 0])], 2)
    assert (row["caution_ticks"], row["stop_ticks"]) == (0.5, 0.25)
    assert (row["caution_episodes"], row["stop_episodes"]) == (1.0, 0.5)
    assert row["auroc_tick"] == row["auroc_block"] == 1.0


def test_a_bundle_that_tells_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tiny_bundle(tmp_path / "bundle")
    assert main(["bench", "novelty", "--bundle", str(tmp_path / "bundle")]) == 2
    assert "tiny-1 does not tell what is novel" in capsys.readouterr().err


def test_a_decision_is_timed_with_as_many_candidates_as_are_said(tmp_path: Path) -> None:
    write_tiny_bundle(tmp_path / "bundle", risk_threshold=1.0)
    out = tmp_path / "filter.json"
    command = ["bench", "filter", "--bundle", tmp_path / "bundle", "--steps", 1000, "--json", out]
    assert main([*map(str, command)]) == 0
    rows = json.loads(out.read_text())["decisions"]
    assert [row["candidates"] for row in rows.values()] == [123, 258]
    assert all(0.0 < row["p50_ms"] <= row["p99_ms"] <= row["worst_ms"] for row in rows.values())
    assert main(["bench", "filter", "--bundle", str(tmp_path / "bundle"), "--steps", "10"]) == 2
