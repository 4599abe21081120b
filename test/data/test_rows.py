"""Folders with a CSV and DonkeyCar tubs: rows become frames with their own commands, the rest is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.recordings import number_of, tub_record, write_folder, write_tub

from safe_o2o_ros.cli.import_data import adapter_or_base
from safe_o2o_ros.data.aligned import Settings
from safe_o2o_ros.data.alignment import align
from safe_o2o_ros.data.csv_folder import csv_of, read_csv
from safe_o2o_ros.data.import_report import topic_report
from safe_o2o_ros.data.recorded_episodes import episodes
from safe_o2o_ros.data.rows import Columns, columns_of, from_rows
from safe_o2o_ros.data.tracks import Recording
from safe_o2o_ros.data.tub import DELETED, is_tub, read_tub
from safe_o2o_ros.errors import RecordingError, UsageError
from safe_o2o_ros.perception.shaping import Shape

MS = 1_000_000
RC_CAR = adapter_or_base("rc_car")
SETTINGS = Settings(50 * MS, 200 * MS, 500 * MS)


def rows(count: int, **changes: Any) -> list[dict[str, Any]]:
    return [
        {
            "timestamp_ms": 1_668_203_945_519 + 50 * i,
            "user_angle": (i % 20) / 20 - 0.5,
            "user_throttle": (i % 7) / 10,
            "user_mode": "user",
            "session_id": "a",
            "author_deleted": int(10 <= i < 15),
            **changes,
        }
        for i in range(count)
    ]


def read(folder: Path, costs: tuple[str, ...] = ("author_deleted",)) -> Recording:
    path = csv_of(folder)
    assert path is not None
    found, names, dropped = read_csv(path)
    columns = Columns(columns_of({}, names, RC_CAR), costs)
    return from_rows(str(folder), found, columns, RC_CAR, Shape(16, 16), dropped)


def test_a_row_is_a_frame_with_its_own_command_and_cost(tmp_path: Path) -> None:
    recording = read(write_folder(tmp_path / "run", rows(40)))
    alignment = align(recording, SETTINGS)
    (episode,) = episodes(recording, alignment, SETTINGS.command_timeout_ns, {"task": "x"})
    assert len(episode) == 39
    numbers = [number_of(f) for f in episode.images["front"]]
    assert numbers == list(range(40))
    # Left is positive for the adapter, right for DonkeyCar.
    expected = [[(i % 7) / 10, 0.5 - (i % 20) / 20] for i in range(39)]
    np.testing.assert_allclose(episode.actions, expected, atol=1e-6)
    assert np.flatnonzero(episode.costs).tolist() == [10, 11, 12, 13, 14]
    assert episode.metadata["run"] == "a" and episode.truncated
    assert not np.signbit(episode.actions[:, 1][episode.actions[:, 1] == 0.0]).any()


def test_another_session_and_a_gap_begin_another_episode(tmp_path: Path) -> None:
    table = rows(60)
    for row in table[20:]:
        row["session_id"] = "b"
    for row in table[40:]:
        row["timestamp_ms"] += 1000
    recording = read(write_folder(tmp_path / "run", table))
    alignment = align(recording, SETTINGS)
    assert [len(e) for e in alignment.episodes] == [19, 19, 19]
    found = list(episodes(recording, alignment, 0, {}))
    assert [e.metadata["run"] for e in found] == ["a", "b", "b"]


def test_rows_that_say_nothing_are_counted(tmp_path: Path) -> None:
    table = rows(40)
    table[3]["user_angle"] = "left"
    table[4]["timestamp_ms"] = "noon"
    table[5]["user_throttle"] = "nan"
    table[6]["author_deleted"] = "-1"
    table[7]["user_mode"] = "local"
    table[8]["timestamp_ms"] = 10**25
    table[9]["timestamp_ms"] = table[20]["timestamp_ms"]
    folder = write_folder(tmp_path / "run", table)
    (folder / "images" / "00030.png").unlink()
    (folder / "images" / "00031.png").write_bytes(b"no picture")
    recording = read(folder)
    alignment = align(recording, SETTINGS)
    front = topic_report(recording.cameras["front"], alignment)
    assert front.messages == 40 == front.used + sum(front.drops.values())
    expected = {
        "row not readable": 4,
        "driven by an autopilot": 1,
        "absurd stamp": 1,
        "repeated stamp": 1,
        "picture missing": 1,
        "broken image": 1,
    }
    assert expected.items() <= front.drops.items()


def test_a_picture_is_never_looked_for_outside_the_folder(tmp_path: Path) -> None:
    secret = write_folder(tmp_path / "other", rows(1)) / "images" / "00000.png"
    folder = write_folder(tmp_path / "run", [row | {"image": str(secret)} for row in rows(5)])
    for picture in (folder / "images").iterdir():
        picture.unlink()
    assert read(folder).cameras["front"].drops == {"picture missing": 5}


def test_columns_that_do_not_fit_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no column holds linear\.x: name one with --column linear\.x=NAME"):
        columns_of({}, ["image", "user_angle"], RC_CAR)
    with pytest.raises(UsageError, match=r"--column linear\.y: the adapter has linear\.x, angular\.z only"):
        columns_of({"linear.y": "a"}, ["user_angle", "user_throttle", "a"], RC_CAR)
    assert columns_of({"linear.x": "-gas", "angular.z": "w"}, ["gas", "w"], RC_CAR) == {
        "linear.x": "-gas",
        "angular.z": "w",
    }
    bad = tmp_path / "records.csv"
    bad.write_text("a,b\n1,2\n")
    with pytest.raises(RecordingError, match="needs a column of pictures"):
        read_csv(bad)
    bad.write_bytes(b"\x00\xff\x00" * 50)
    with pytest.raises(RecordingError):
        read_csv(bad)


def tub(path: Path, deleted: tuple[int, ...] = (5, 6)) -> Path:
    return write_tub(path, [tub_record(i, 1_000_000 + 50 * i) for i in range(25)], deleted)


def test_a_tub_is_read_and_deleted_records_are_left_out_or_cost(tmp_path: Path) -> None:
    path = tub(tmp_path / "tub")
    assert is_tub(path) and not is_tub(tmp_path)
    found, names, dropped = read_tub(path, keep_deleted=False)
    assert dropped == {"deleted by the driver": 2}
    columns = columns_of({}, names, RC_CAR)
    assert columns == {"linear.x": "user/throttle", "angular.z": "-user/angle"}
    recording = from_rows("tub", found, Columns(columns), RC_CAR, Shape(12, 12), dropped)
    front = topic_report(recording.cameras["front"], align(recording, SETTINGS))
    assert front.messages == 25 == front.used + sum(front.drops.values())
    assert recording.command is not None
    np.testing.assert_allclose(recording.command.values[0], [0.5, -0.25])

    found, names, dropped = read_tub(path, keep_deleted=True)
    recording = from_rows("tub", found, Columns(columns, (DELETED,)), RC_CAR, Shape(12, 12), dropped)
    (episode,) = episodes(recording, align(recording, SETTINGS), 0, {})
    assert np.flatnonzero(episode.costs).tolist() == [5, 6]


def test_a_damaged_tub_is_named(tmp_path: Path) -> None:
    path = tub(tmp_path / "tub")
    catalog = path / "catalog_1.catalog"
    lines = catalog.read_text().splitlines()
    lines[2], lines[3] = "{", json.dumps({"_index": 3})
    catalog.write_text("\n".join(lines))
    _, _, dropped = read_tub(path, keep_deleted=False)
    assert dropped["row not readable"] == 2
    catalog.unlink()
    with pytest.raises(RecordingError, match=r"lacks catalog_1\.catalog"):
        read_tub(path, keep_deleted=False)
    (path / "manifest.json").write_text("[]\n[]\n")
    with pytest.raises(RecordingError, match="not the manifest of a version 2 tub"):
        read_tub(path, keep_deleted=False)
