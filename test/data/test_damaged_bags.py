"""Cut, flipped or overwritten bags: what is whole is read, the rest is a sentence, and no pair is wrong."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest
from support.imports import SETTINGS, assert_frames_are_true, read
from support.recordings import NS, drive, write_bag

from safe_o2o_ros.data.alignment import align
from safe_o2o_ros.data.import_report import topic_report
from safe_o2o_ros.data.mcap_salvage import McapSalvage
from safe_o2o_ros.errors import RecordingError, UsageError


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("storage", ["mcap", "zstd"])
def test_a_truncated_mcap_is_read_up_to_the_cut(storage: str, share: float, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", drive(300), storage)
    file = bag / "bag.mcap"
    whole = sum(1 for _ in McapSalvage(file).messages())
    data = file.read_bytes()
    file.write_bytes(data[: int(share * len(data))])
    (bag / "metadata.yaml").unlink()
    recording = read(bag)
    received = sum(t.received for t in recording.tracks())
    # Half of the file's bytes hold half of its messages, give or take a few; compressed ones come in blocks.
    assert received >= (int(share * whole) - 4 if storage == "mcap" else 1 if share > 0.8 else 0)
    said = "every message could be read" if share > 0.99 else "everything before is read"
    assert any(said in note for note in recording.notes)
    assert_frames_are_true(recording)


def test_what_metadata_promised_and_the_cut_took_is_a_named_drop(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", drive(300))
    file = bag / "bag.mcap"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    recording = read(bag)
    alignment = align(recording, SETTINGS)
    front = topic_report(recording.cameras["front"], alignment)
    assert front.messages == 300 and front.drops["lost in the damaged file"] > 100
    assert front.messages == front.used + sum(front.drops.values())


def test_a_damaged_chunk_costs_only_that_chunk(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", drive(3000), "zstd")
    file = bag / "bag.mcap"
    data = bytearray(file.read_bytes())
    data[3000:3300] = random.Random(0).randbytes(300)
    file.write_bytes(data)
    recording = read(bag)
    assert any("the chunk at byte" in note for note in recording.notes)
    front = topic_report(recording.cameras["front"], align(recording, SETTINGS))
    assert 0 < front.drops["lost in the damaged file"] < 1500
    assert front.used > 1500
    assert_frames_are_true(recording)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_database_is_read_as_far_as_it_goes(share: float, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", drive(300), "sqlite3")
    file = bag / "bag.db3"
    data = file.read_bytes()
    file.write_bytes(data[: int(share * len(data))])
    recording = read(bag)
    assert any("damaged or cut" in note for note in recording.notes)
    front = topic_report(recording.cameras["front"], align(recording, SETTINGS))
    assert front.messages == 300 == front.used + sum(front.drops.values())
    assert front.used > 100 * share
    assert_frames_are_true(recording)


def test_a_database_without_its_first_page_is_refused_in_one_sentence(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", drive(30), "sqlite3")
    (bag / "bag.db3").write_bytes(b"\x00" * 8192)
    with pytest.raises(RecordingError, match="bag.db3"):
        read(bag)
    (bag / "bag.db3").write_bytes(b"")
    with pytest.raises(RecordingError, match="bag.db3"):
        read(bag)


def test_a_killed_recorders_write_ahead_log_is_read(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", drive(10), "sqlite3")
    database = sqlite3.connect(bag / "bag.db3", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA wal_autocheckpoint=0")
    (topic,) = database.execute("SELECT id FROM topics WHERE name='/cmd_vel'").fetchone()
    (data,) = database.execute("SELECT data FROM messages WHERE topic_id=? LIMIT 1", (topic,)).fetchone()
    database.execute(
        "INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)", (topic, 101 * NS, data)
    )
    # As after a kill -9: the log was never written back.
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("bag.db3", "bag.db3-wal"):
        (copy / name).write_bytes((bag / name).read_bytes())
    database.close()
    assert read(copy).command.received == 11  # type: ignore[union-attr]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_overwritten_bytes_never_crash_and_never_pair_wrongly(storage: str, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", drive(60), storage)
    file = next(f for f in bag.iterdir() if f.suffix in (".mcap", ".db3"))
    sound = file.read_bytes()
    rng = random.Random(0)
    read_at_all = 0
    for _ in range(60):
        data = bytearray(sound)
        for _ in range(rng.choice((1, 1, 4, 40))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.3:
            data = data[: rng.randrange(len(data))]
        file.write_bytes(bytes(data))
        try:
            recording = read(bag)
        except (RecordingError, UsageError) as error:
            assert "\n" not in str(error)
            continue
        read_at_all += 1
        alignment = align(recording, SETTINGS)
        for track in recording.tracks():
            one = topic_report(track, alignment)
            assert one.messages == one.used + sum(one.drops.values())
    assert read_at_all > 20


def test_damaged_metadata_is_done_without(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", drive(20))
    for text in ("{", "rosbag2_bagfile_information: 3\n", "", "\x00\x01"):
        (bag / "metadata.yaml").write_text(text)
        assert read(bag).cameras["front"].received == 20


def test_a_bag_of_several_files_of_which_the_last_is_cut(tmp_path: Path) -> None:
    both = tmp_path / "both"
    both.mkdir()
    first = write_bag(tmp_path / "one", drive(100))
    second = write_bag(tmp_path / "two", drive(100, start_ns=105 * NS))
    (both / "both_2.mcap").write_bytes((first / "one.mcap").read_bytes())
    data = (second / "two.mcap").read_bytes()
    (both / "both_10.mcap").write_bytes(data[: len(data) // 2])
    recording = read(both)
    assert 140 < recording.cameras["front"].received < 160
    assert_frames_are_true(recording)
