"""`safe-o2o import`: what a user types, sees, gets, and is told when it cannot work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.recordings import (
    BUMP,
    BUMP_TYPE,
    NS,
    drive,
    message,
    tub_record,
    write_bag,
    write_folder,
    write_tub,
)

from safe_o2o_ros.cli.main import main
from safe_o2o_ros.data import EpisodeReader


def cli(*arguments: object) -> int:
    return main([str(a) for a in ("import", *arguments)])


def test_a_bag_becomes_a_store_with_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = write_bag(tmp_path / "bag", drive(60))
    out, report = tmp_path / "store", tmp_path / "report.json"
    assert cli(bag, "--adapter", "rc_car", "--out", out, "--size", 16, "--json", report) == 0
    text = capsys.readouterr().out
    assert "messages in = used + dropped" in text and "1 episodes, 59 steps written" in text
    assert "/bumper:data: on in 3 messages, 1 touches" in text
    reader = EpisodeReader(out)
    (episode,) = reader
    assert len(episode) == 59 and episode.images["front"].shape == (60, 16, 16, 3)
    assert reader.manifest.period_s == 0.05 and reader.manifest.adapter["name"] == "rc_car"
    assert episode.metadata["source"] == str(bag) and episode.metadata["start_ns"] == 100 * NS
    np.testing.assert_array_equal(np.diff(episode.extras["stamp_ns"]), 50_000_000)
    content = json.loads(report.read_text())
    for topic in content["topics"]:
        assert topic["messages"] == topic["used"] + sum(topic["drops"].values())


def test_the_same_recording_is_not_stored_twice_but_another_is_added(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (
        write_bag(tmp_path / "a", drive(30)),
        write_bag(tmp_path / "b", drive(30, start_ns=900 * NS)),
    )
    given = ("--adapter", "rc_car", "--out", tmp_path / "store")
    assert cli(first, *given) == 0 and cli(second, *given) == 0
    assert len(EpisodeReader(tmp_path / "store")) == 2
    assert cli(first, *given) == 2
    assert "already holds the episodes of" in capsys.readouterr().err


def test_a_map_file_and_flags_together(tmp_path: Path) -> None:
    bump = {"left_front": True, "left_side": False, "right_front": False, "right_side": False}
    bag = write_bag(tmp_path / "bag", [*drive(30), ("/bump", 101 * NS, message(BUMP_TYPE, **bump))])
    (tmp_path / "map.yaml").write_text(
        "cameras: {eye: /camera/image_raw}\ncommand: /cmd_vel\ncosts: ['/bump:left_front']\n"
    )
    (tmp_path / "Bump.msg").write_text(BUMP)
    given = ("--map", tmp_path / "map.yaml", "--cost", "/bump:right_front", "--adapter", "rc_car")
    definition = f"neato2_interfaces/Bump={tmp_path / 'Bump.msg'}"
    assert cli(bag, *given, "--out", tmp_path / "store", "--msg-def", definition) == 0
    (episode,) = EpisodeReader(tmp_path / "store")
    assert list(episode.images) == ["eye"] and episode.costs.sum() > 0.0


def test_a_bag_without_a_camera_gives_a_report_but_no_episodes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_bag(tmp_path / "bag", [e for e in drive(60) if e[0] != "/camera/image_raw"])
    assert cli(bag, "--report-only") == 0
    assert "pairs of command and command" in capsys.readouterr().out
    assert cli(bag, "--adapter", "rc_car", "--out", tmp_path / "store") == 2
    assert "has no camera, and episodes are pictures with the commands driven" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


def test_a_tub_and_a_folder_need_no_adapter(tmp_path: Path) -> None:
    tub = write_tub(tmp_path / "tub", [tub_record(i, 10_000 + 50 * i) for i in range(30)], [3])
    assert cli(tub, "--out", tmp_path / "t", "--cost", "deleted") == 0
    (episode,) = EpisodeReader(tmp_path / "t")
    assert np.flatnonzero(episode.costs).tolist() == [3]
    rows = [{"timestamp_ms": 50 * i, "user_angle": 0.1, "user_throttle": 0.2, "speed": i} for i in range(30)]
    folder = write_folder(tmp_path / "folder", rows)
    assert cli(folder, "--out", tmp_path / "f", "--reward", "speed", "--shift-delay", "0.2") == 0
    (episode,) = EpisodeReader(tmp_path / "f")
    assert episode.rewards.tolist() == list(range(4, 29)) and episode.metadata["shifted_s"] == 0.2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give --out for the store to write, or --report-only"),
        (("--out", "OUT"), "say which robot drove with --adapter"),
        (("--out", "OUT", "--adapter", "tank"), "there is no base 'tank'"),
        (("--report-only", "--period", "0"), "a control period of 0.0 s is impossible"),
        (
            ("--report-only", "--max-gap", "-1"),
            "--max-gap, --command-timeout and --min-steps must be more than 0",
        ),
        (("--report-only", "--size", "2"), "--size must be between 8 and 1024"),
        (("--report-only", "--roi", "1,2"), "--roi takes four whole numbers"),
        (("--report-only", "--camera", "front"), "--camera takes NAME=VALUE"),
        (("--report-only", "--cost", "/none"), "has no topic /none"),
        (("--report-only", "--cost", "/bumper:"), "is not a topic or topic:field"),
        (("--report-only", "--msg-def", "a=b"), "is not a message type"),
        (("--report-only", "--map", "none.yaml"), "the topic map 'none.yaml' cannot be read"),
        (("--report-only", "--shift-delay"), "the actuation delay cannot be told from this recording"),
        (
            ("--out", "OUT", "--adapter", "rc_car", "--min-steps", "99"),
            "gives no episode of at least 99 steps",
        ),
    ],
)
def test_what_cannot_work_is_one_sentence(
    arguments: tuple[str, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_bag(tmp_path / "bag", drive(30))
    assert cli(bag, *(str(tmp_path / "store") if a == "OUT" else a for a in arguments)) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not list(tmp_path.glob("store/*.seg"))


def test_what_is_no_recording_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder").mkdir()
    for path, words in (
        (tmp_path / "folder", "is no rosbag2 recording"),
        (tmp_path / "no", "there is no recording"),
    ):
        assert cli(path, "--report-only") == 2
        assert words in capsys.readouterr().err
