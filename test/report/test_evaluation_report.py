"""The page of an evaluation: which episodes are shown, and what stands there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import pytest

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.report.evaluation import claim_folder, video_path
from safe_o2o_ros.report.evaluation_plot import write_distribution
from safe_o2o_ros.report.html import document, episode_table
from safe_o2o_ros.report.record import evaluation_record, extremes


def record(*pairs: tuple[float, float]) -> dict[str, Any]:
    """An evaluation record of episodes with these rewards and costs."""
    entries = [
        {"seed": 7 + i, "reward": r, "cost": c, "steps": 9, "success": None, "overrides": 0, "goals": 1}
        for i, (r, c) in enumerate(pairs)
    ]
    return evaluation_record(
        task="PointGoal1", variant=None, bundle="v1", filter_mode="filter", action_repeat=4, seed=7,
        per_episode=entries, ticks=10,
    )  # fmt: skip


def test_best_and_worst_are_by_reward_less_cost_and_the_first_of_equals() -> None:
    # 4, -20, 5, 5, -20
    assert extremes(record((10, 6), (30, 50), (5, 0), (6, 1), (0, 20))) == {"best": 2, "worst": 1}
    assert extremes(record((1, 2))) == {"only": 0}
    assert extremes(record((1, 2), (2, 3))) == {"only": 0}


def test_an_older_report_is_cleared_but_nothing_else_is(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "report"
    claim_folder(folder)
    (folder / "evaluation.json").write_text("[]")
    (folder / "notes.txt").write_text("mine")
    for path in (video_path(folder, 3, "best"), folder / "row1.png", folder / "index.html"):
        path.touch()
    claim_folder(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["evaluation.json", "notes.txt"]
    (folder / "evaluation.json").unlink()
    with pytest.raises(UsageError, match="something else"):
        claim_folder(folder)


@pytest.mark.parametrize("pairs", [[(1.0, 0.0)], [(2.0, 0.0)] * 30, [(-3.0, 0.0), (40.0, 500.0), (1.0, 2.0)]])
def test_dots_means_and_rows_are_drawn_in_their_colours(pairs: list[Any], tmp_path: Path) -> None:
    heights = []
    for rows in (1, 3):
        write_distribution(tmp_path / "a.png", ["bundle · filter on"] * rows, [record(*pairs)] * rows)
        picture = cv2.imread(str(tmp_path / "a.png"))
        heights.append(picture.shape[0])
        half = picture.shape[1] // 2
        # BGR of reward and cost: blue on the left only, red on the right only.
        blue, red = ((abs(picture.astype(int) - c).sum(axis=2) < 12) for c in ((178, 114, 0), (30, 50, 200)))
        assert blue[:, :half].sum() > 20 * rows and not blue[:, half + 80 :].any()
        assert red[:, half:].sum() > 20 * rows and not red[:, : half - 80].any()
    assert heights[1] > 2 * heights[0] * 0.8


def test_text_of_a_page_is_escaped_and_nothing_comes_from_elsewhere() -> None:
    page = document("a < b", "c & d", ["<script>"], "<p>body</p>")
    assert "<h1>a &lt; b</h1>" in page and "c &amp; d" in page and "<p>body</p>" in page
    assert "<script" not in page and "http" not in page


def test_the_table_of_episodes_has_success_only_where_it_is_known() -> None:
    entries = record((1.234, 5.0))["per_episode"]
    table = episode_table(entries, success=False)
    assert "<td>7</td><td>1.23</td><td>5</td>" in table and "success" not in table
    assert "<td>–</td>" in episode_table(entries, success=True)
