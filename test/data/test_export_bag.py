"""A store that goes out as a bag comes back as it was."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from support.tiny_store import make_episode, manifest, write_tiny_store

from safe_o2o_ros.cli.main import main
from safe_o2o_ros.data import EpisodeReader, EpisodeWriter
from safe_o2o_ros.errors import RecordingError


def cli(*arguments: object) -> int:
    return main([str(a) for a in arguments])


@pytest.mark.parametrize(("storage", "images"), [("mcap", "raw"), ("mcap", "png"), ("sqlite3", "raw")])
def test_a_store_comes_back_equal(
    storage: str, images: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tiny_store(tmp_path / "store")
    given = ("--format", storage, "--images", images)
    assert cli("export", tmp_path / "store", "--out", tmp_path / "bag", *given) == 0
    # Robot, period and cameras come along.
    assert cli("import", tmp_path / "bag", "--out", tmp_path / "back") == 0
    before, after = list(EpisodeReader(tmp_path / "store")), list(EpisodeReader(tmp_path / "back"))
    assert len(before) == len(after) == 4
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old.actions, new.actions)
        np.testing.assert_array_equal(old.rewards, new.rewards)
        np.testing.assert_array_equal(old.costs, new.costs)
        assert list(old.images) == list(new.images)
        for camera in old.images:
            np.testing.assert_array_equal(old.images[camera], new.images[camera])
        assert (old.terminated, old.truncated) == (new.terminated, new.truncated)
    manifests = EpisodeReader(tmp_path / "store").manifest, EpisodeReader(tmp_path / "back").manifest
    assert manifests[0].adapter == manifests[1].adapter and manifests[0].period_s == manifests[1].period_s
    assert "0 steps begin with a repeated frame" in capsys.readouterr().out


def test_metadata_is_what_ros2_bag_play_needs(tmp_path: Path) -> None:
    write_tiny_store(tmp_path / "store", (9,))
    assert cli("export", tmp_path / "store", "--out", tmp_path / "bag") == 0
    data = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    topics = {t["topic_metadata"]["name"]: t for t in data["topics_with_message_count"]}
    assert {name: t["message_count"] for name, t in topics.items()} == {
        "/front/image_raw": 10,
        "/back/image_raw": 10,
        "/executed_cmd": 9,
        "/reward": 9,
        "/cost": 9,
        "/episode": 2,
    }
    for name, one in topics.items():
        (profile,) = one["topic_metadata"]["offered_qos_profiles"]
        assert profile["reliability"] == "reliable"
        assert profile["durability"] == ("transient_local" if name == "/episode" else "volatile")
        assert one["topic_metadata"]["type_description_hash"].startswith("RIHS01_")


def test_a_chunk_that_goes_on_has_no_end(tmp_path: Path) -> None:
    with EpisodeWriter(tmp_path / "store", manifest()) as writer:
        writer.append(replace(make_episode(12, 0), truncated=False))
    assert cli("export", tmp_path / "store", "--out", tmp_path / "bag") == 0
    data = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    topics = {t["topic_metadata"]["name"]: t["message_count"] for t in data["topics_with_message_count"]}
    assert topics["/episode"] == 1


def test_a_bag_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tiny_store(tmp_path / "store", (9,))
    (tmp_path / "bag").mkdir()
    assert cli("export", tmp_path / "store", "--out", tmp_path / "bag") == 2
    assert "exists already" in capsys.readouterr().err
    assert cli("export", tmp_path / "nothing", "--out", tmp_path / "other") == 2
    assert not (tmp_path / "other").exists()


def test_rclpy_reads_what_is_written(tmp_path: Path) -> None:
    """The messages are CDR that ROS itself deserialises, in a process of its own."""
    write_tiny_store(tmp_path / "store", (3,))
    assert cli("export", tmp_path / "store", "--out", tmp_path / "bag", "--format", "sqlite3") == 0
    code = (
        "import sqlite3, sys\n"
        "from rclpy.serialization import deserialize_message\n"
        "from geometry_msgs.msg import TwistStamped\n"
        "from sensor_msgs.msg import Image\n"
        "d = sqlite3.connect(sys.argv[1])\n"
        "q = 'SELECT data FROM messages JOIN topics ON topic_id = topics.id WHERE name = ?'\n"
        "t = deserialize_message(d.execute(q, ('/executed_cmd',)).fetchone()[0], TwistStamped)\n"
        "i = deserialize_message(d.execute(q, ('/front/image_raw',)).fetchone()[0], Image)\n"
        "print(t.header.frame_id, i.encoding, i.width, len(i.data), t.header.stamp == i.header.stamp)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "bag" / "bag.db3")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["base_link", "rgb8", "64", "12288", "True"]


def test_minari_holds_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minari = pytest.importorskip("minari", reason="install minari[hdf5] (Python 3.11 or newer) for this test")
    write_tiny_store(tmp_path / "store", (12, 7))
    arguments = ("--out", tmp_path / "sets", "--format", "minari", "--name", "tiny/test-v0")
    assert cli("export", tmp_path / "store", *arguments) == 0
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "sets"))
    found = list(minari.load_dataset("tiny/test-v0").iterate_episodes())
    for old, new in zip(EpisodeReader(tmp_path / "store"), found, strict=True):
        np.testing.assert_array_equal(new.observations["front"], old.images["front"])
        np.testing.assert_array_equal(new.actions, old.actions)
        np.testing.assert_array_equal(new.infos["cost"], old.costs)
        assert bool(new.terminations[-1]) == old.terminated and not new.terminations[:-1].any()
    assert cli("export", tmp_path / "store", *arguments) == 2


def test_an_empty_store_is_refused(tmp_path: Path) -> None:
    with EpisodeWriter(tmp_path / "store", manifest()):
        pass
    from safe_o2o_ros.cli.export_minari import write_minari

    pytest.importorskip("minari", reason="install minari[hdf5] (Python 3.11 or newer) for this test")
    with pytest.raises(RecordingError, match="no episode that can be read"):
        write_minari(EpisodeReader(tmp_path / "store"), tmp_path / "sets", "a-v0")
