"""A report is complete, whatever the logs hold; what is missing is said in a sentence."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.report import ReportPaths, print_table, write_report
from safe_o2o_ros.report.log import EpisodeLog
from safe_o2o_ros.report.record import episode_record, evaluation_record
from safe_o2o_ros.report.scene import goal_ticks

REASONS = ("pass", "substitute", "escape", "stale", "shadow", "limits_only")


def make_log(ticks: int = 12, valued: bool = True, pictures: bool = True, seed: int = 40_000) -> EpisodeLog:
    """An episode that turns in place among two hazards and a vase, with every kind of answer."""
    rng = np.random.default_rng(seed)
    nan = np.full(ticks, np.nan)
    action = rng.uniform(-1.0, 1.0, (ticks, 2)).astype(np.float32)
    return EpisodeLog(
        seed=seed,
        period_s=0.08,
        goals=1,
        control_steps=4 * ticks,
        success=None,
        layout={
            "agent": [0.0, 0.0, 0.5],
            "goals": [[1.0, 0.0], [-1.0, 1.0]],
            "hazards": [[0.5, 0.5], [-0.5, 0.5]],
            "hazards_yaw": [0.0, 1.0],
            "vases": [[0.0, -1.0]],
            "vases_yaw": [0.3],
        },
        time_s=0.08 * np.arange(ticks),
        reward=np.where(np.arange(ticks) == ticks // 2, 1.01, 0.02),
        cost=np.where(np.arange(ticks) % 5 == 4, 2.0, 0.0),
        value=np.linspace(0.0, 1.0, ticks) if valued else nan,
        threshold=np.full(ticks, 0.6) if valued else nan,
        surprise=np.zeros(ticks),
        nominal=action,
        executed=-action,
        changed=np.arange(ticks) % 2 == 0,
        reason=[REASONS[k % len(REASONS)] for k in range(ticks)] if valued else ["limits_only"] * ticks,
        position=np.cumsum(np.full((ticks, 2), 0.01), axis=0),
        yaw=np.zeros(ticks),
        images={c: rng.integers(0, 255, (ticks, 64, 64, 3), np.uint8) for c in ("front", "back")}
        if pictures
        else {},
        top=rng.integers(0, 255, (ticks, 128, 128, 3), np.uint8) if pictures else None,
    )


def make_record(episodes: list[EpisodeLog], **changes: Any) -> dict[str, Any]:
    record = evaluation_record(
        task="PointGoal1",
        variant=None,
        bundle="v1",
        filter_mode="filter",
        action_repeat=4,
        seed=episodes[0].seed,
        per_episode=[episode_record(log) for log in episodes],
        ticks=sum(len(log.reward) for log in episodes),
    )
    return {**record, **changes}


def video_frames(path: Path) -> tuple[int, str]:
    """Number of frames and frame rate of a video, counted by the encoder's program."""
    ffmpeg = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    done = subprocess.run(
        [ffmpeg, "-i", str(path), "-f", "null", "-"], capture_output=True, text=True, check=True
    )
    rate = re.search(r"([\d.]+) fps", done.stderr)
    assert rate is not None
    return int(re.findall(r"frame=\s*(\d+)", done.stderr)[-1]), rate[1]


def test_a_report_holds_numbers_logs_plot_page_and_a_video_in_real_time(tmp_path: Path) -> None:
    episodes = [make_log(), make_log(ticks=7, seed=40_001)]
    record = make_record(episodes)
    paths = write_report(tmp_path / "out", record, episodes)

    assert json.loads(paths.result.read_text()) == record
    assert paths.plot.read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in paths.episodes] == ["episode_0000.npz", "episode_0001.npz"]
    assert EpisodeLog.load(paths.episodes[1]).seed == 40_001
    assert paths.notes == ()
    assert paths.video is not None
    # Each episode's last frame stays for 0.8 s = 10 periods.
    assert video_frames(paths.video) == (12 + 10 + 7 + 10, "12.50")
    page = paths.page.read_text()
    assert 'src="video.mp4"' in page and 'src="plot.png"' in page and "40001" in page
    assert "http" not in page and "<script" not in page


@pytest.mark.parametrize("valued", [True, False])
@pytest.mark.parametrize("ticks", [1, 3])
def test_short_episodes_and_missing_values_are_drawn(tmp_path: Path, valued: bool, ticks: int) -> None:
    log = make_log(ticks, valued)
    paths = write_report(tmp_path, make_record([log]), [log])
    assert paths.video is not None and video_frames(paths.video)[0] == ticks + 10


def test_a_value_that_is_missing_only_now_and_then_is_drawn(tmp_path: Path) -> None:
    log = make_log()
    value, threshold = log.value.copy(), log.threshold.copy()
    value[[0, 5, 11]] = threshold[[0, 5, 11]] = np.nan
    log = dataclasses.replace(log, value=value, threshold=threshold, top=None)
    assert write_report(tmp_path, make_record([log]), [log]).video is not None


def test_an_unknown_task_and_reason_are_drawn(tmp_path: Path) -> None:
    log = dataclasses.replace(make_log(2), reason=["operator", "pass"], layout={"agent": [0, 0, 0]})
    assert write_report(tmp_path, make_record([log], task="Kitchen"), [log]).video is not None


def missing_video(paths: ReportPaths) -> str:
    assert paths.video is None and not (paths.folder / "video.mp4").exists()
    assert paths.plot.is_file()
    (note,) = paths.notes
    assert note.split(":")[0] in paths.page.read_text()
    return note


def test_without_pictures_the_report_says_how_to_get_a_video(tmp_path: Path) -> None:
    (tmp_path / "video.mp4").write_bytes(b"of an older run")
    log = make_log(pictures=False)
    assert "--no-video" in missing_video(write_report(tmp_path, make_record([log]), [log]))


def test_without_ffmpeg_the_report_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    log = make_log(2)
    note = missing_video(write_report(tmp_path / "out", make_record([log]), [log]))
    assert "pip install imageio-ffmpeg" in note


def test_a_video_that_is_not_wanted_is_not_missed(tmp_path: Path) -> None:
    log = make_log(2)
    paths = write_report(tmp_path, make_record([log]), [log], video=False)
    assert paths.video is None and paths.notes == ()


def test_no_episodes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="drive again"):
        write_report(tmp_path, {}, [])


def test_the_table_shows_every_episode_and_the_means(capsys: pytest.CaptureFixture[str]) -> None:
    episodes = [make_log(), make_log(seed=40_001)]
    # 12 ticks each: reward 11 * 0.02 + 1.01, cost 2 + 2, every second tick overridden.
    print_table(make_record(episodes))
    shown = capsys.readouterr().out
    assert "40000" in shown and "40001" in shown
    assert "1.23 ± 0.00" in shown and "4.00 ± 0.00" in shown and "50.0 / 100 ticks" in shown


def test_success_is_shown_where_a_task_knows_it(capsys: pytest.CaptureFixture[str]) -> None:
    log = dataclasses.replace(make_log(2), success=True)
    print_table(make_record([log]))
    assert "success" in capsys.readouterr().out


def test_goals_are_recognised_by_their_bonus() -> None:
    assert goal_ticks(make_log(12)).tolist() == [6]
