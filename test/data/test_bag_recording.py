"""Bags become recordings: every message is decoded or counted under the reason why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.imports import SETTINGS, assert_frames_are_true, assert_pairs_are_true, counts, read
from support.recordings import (
    BUMP,
    BUMP_TYPE,
    NS,
    Event,
    drive,
    image,
    message,
    number_of,
    odometry,
    picture,
    twist,
    write_bag,
)

from safe_o2o_ros.data.alignment import align
from safe_o2o_ros.data.import_report import report
from safe_o2o_ros.data.topic_map import Source, TopicMap
from safe_o2o_ros.errors import RecordingError, UsageError


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_topics_are_found_by_type_and_messages_add_up(storage: str, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", drive(60), storage)
    recording = read(bag)
    assert assert_pairs_are_true(recording) == 59
    found = counts(recording)
    assert found["/camera/image_raw camera front"] == (60, 60, {})
    assert found["/cmd_vel command"] == (60, 59, {"outside the episodes": 1})
    content = report(recording, align(recording, SETTINGS), SETTINGS)
    # The graph's own bumper is a cost without being named.
    assert content["contacts"] == [{"source": "/bumper:data", "messages": 3, "touches": 1}]
    delays = {t["name"]: t["delay_ms"] for t in content["topics"]}
    assert delays["/camera/image_raw"] == [1.0, 1.0] and delays["/cmd_vel"] is None


def test_one_file_of_a_bag_is_enough(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", drive(30))
    assert assert_pairs_are_true(read(bag / "bag.mcap")) == 29
    (bag / "metadata.yaml").unlink()
    assert assert_pairs_are_true(read(bag)) == 29


def test_a_type_the_bag_lacks_is_taken_from_the_user(tmp_path: Path) -> None:
    bump = {"left_front": True, "left_side": False, "right_front": False, "right_side": False}
    events = [*drive(20), ("/bump", 100 * NS + 5, message(BUMP_TYPE, **bump))]
    bag = write_bag(tmp_path / "bag", events, "sqlite3")
    # Older bags have no such table.
    import sqlite3

    with sqlite3.connect(bag / "bag.db3") as database:
        database.execute("DELETE FROM message_definitions")
    named = TopicMap(costs=(Source("/bump", ("left_front", "left_side")),))
    with pytest.raises(UsageError, match=r"--msg-def neato2_interfaces/msg/Bump=FILE"):
        read(bag, named)
    recording = read(bag, named, definitions={BUMP_TYPE: BUMP})
    assert recording.costs[0].values.tolist() == [[1.0, 0.0]]
    with pytest.raises(UsageError, match="no .msg text"):
        read(bag, named, definitions={BUMP_TYPE: "<html>"})
    with pytest.raises(UsageError, match="no field 'front'"):
        read(bag, TopicMap(costs=(Source("/bump", ("front",)),)), definitions={BUMP_TYPE: BUMP})
    # All truth values of a bumper count where no field is named.
    every = read(bag, TopicMap(costs=(Source("/bump"),)), definitions={BUMP_TYPE: BUMP})
    assert every.costs[0].columns == ("left_front", "left_side", "right_front", "right_side")


def test_costs_of_several_sources_and_a_reward(tmp_path: Path) -> None:
    number = "std_msgs/msg/Float32"
    events = drive(40)
    for i in range(40):
        stamp = 100 * NS + i * NS // 20
        events.append(("/cost", stamp + 7, message(number, data=0.5 if i == 20 else 0.0)))
        events.append(("/score", stamp + 8, message(number, data=float(i))))
    bag = write_bag(tmp_path / "bag", events)
    named = TopicMap(costs=(Source("/bumper"), Source("/cost")), reward=(Source("/score", ("data",)),))
    recording = read(bag, named)
    content = report(recording, align(recording, SETTINGS), SETTINGS)
    # The bumper is still pressed when the period of frame 13 begins.
    assert content["episodes"][0]["cost"] == 4.5
    assert content["episodes"][0]["reward"] == sum(range(39))
    assert content["costly_steps"] == 5


def test_maps_that_do_not_fit_are_named(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", [*drive(5), ("/other", 100 * NS, image(picture(0), NS))])
    with pytest.raises(UsageError, match="has the image topics /camera/image_raw, /other"):
        read(bag)
    with pytest.raises(UsageError, match="no topic /nothing; it has /bumper"):
        read(bag, TopicMap(cameras={"front": "/nothing"}))
    with pytest.raises(UsageError, match="/bumper is a std_msgs/msg/Bool, no twist"):
        read(bag, TopicMap(cameras={"front": "/other"}, command="/bumper"))
    with pytest.raises(UsageError, match="map another topic to camera front"):
        read(bag, TopicMap(cameras={"front": "/bumper"}))
    with pytest.raises(RecordingError, match="there is no recording at"):
        read(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordingError, match=r"holds no \.mcap or \.db3"):
        read(tmp_path / "empty")


BAD_IMAGES: dict[str, tuple[dict[str, Any], str]] = {
    "step": ({"step": 5}, "broken image"),
    "short": ({"data": np.zeros(7, np.uint8)}, "broken image"),
    "huge": ({"height": 4_000_000_000, "width": 4_000_000_000, "step": 4_000_000_000}, "broken image"),
    "encoding": ({"encoding": "32FC7"}, "unknown encoding"),
    "empty": ({"height": 0, "width": 0, "step": 0, "data": np.zeros(0, np.uint8)}, "no pixels"),
    "no width": ({"width": 0}, "no pixels"),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_a_frame_that_is_none_is_a_counted_drop(name: str, tmp_path: Path) -> None:
    changes, reason = BAD_IMAGES[name]
    events = drive(40)
    stamp = 100 * NS + 20 * NS // 20
    for position, event in enumerate(events):
        if event[0] == "/camera/image_raw" and event[1] == stamp + 1_000_000:
            events[position] = (event[0], event[1], image(picture(20), stamp, **changes))
    recording = read(write_bag(tmp_path / "bag", events))
    found = counts(recording)["/camera/image_raw camera front"]
    assert found == (40, 39, {reason: 1})
    assert_frames_are_true(recording)


@pytest.mark.parametrize("stamp", [0, -5 * NS, 2**31 * NS - NS, 100 * NS + 3600 * NS])
def test_an_absurd_stamp_is_a_counted_drop(stamp: int, tmp_path: Path) -> None:
    events = drive(40)
    odd = [e for e in events if e[0] == "/camera/image_raw"][20]
    events[events.index(odd)] = (odd[0], odd[1], image(picture(20), stamp))
    recording = read(write_bag(tmp_path / "bag", events))
    assert counts(recording)["/camera/image_raw camera front"] == (40, 39, {"absurd stamp": 1})
    assert_frames_are_true(recording)


def test_absurd_times_of_receipt_reach_no_episode(tmp_path: Path) -> None:
    events: list[Event] = [*drive(40), ("/camera/image_raw", 2**63 - 5, image(picture(99), 2**31 * NS - NS))]
    events.append(("/cmd_vel", 2**63 - 3, twist(0.99, 0.0)))
    recording = read(write_bag(tmp_path / "bag", events, "sqlite3"))
    assert assert_pairs_are_true(recording) == 39
    assert counts(recording)["/cmd_vel command"][2] == {"outside the episodes": 1, "absurd stamp": 1}


def test_headers_of_another_clock_are_not_believed(tmp_path: Path) -> None:
    events: list[Event] = []
    for topic, receipt, content in drive(40):
        if topic == "/camera/image_raw":
            content = image(picture(number_of(content.data.reshape(16, 16, 3))), receipt - 90 * NS)
        events.append((topic, receipt, content))
    recording = read(write_bag(tmp_path / "bag", events))
    front = recording.cameras["front"]
    assert front.clock == "receipt" and "another clock" in front.notes[0]
    assert assert_pairs_are_true(recording) == 39


def test_frames_that_overtook_each_other_are_put_in_order_and_repeated_ones_dropped(tmp_path: Path) -> None:
    events = drive(40)
    frames = [e for e in events if e[0] == "/camera/image_raw"]
    rest = [e for e in events if e[0] != "/camera/image_raw"]
    receipts = [e[1] for e in frames]
    receipts[10], receipts[12] = receipts[12], receipts[10]
    late = [(t, r, c) for (t, _, c), r in zip(frames, receipts, strict=True)]
    again = (late[30][0], late[30][1] + 1000, late[30][2])
    recording = read(write_bag(tmp_path / "bag", [*late, again, *rest]))
    assert counts(recording)["/camera/image_raw camera front"][2] == {"repeated stamp": 1}
    assert assert_pairs_are_true(recording) == 39


def test_commands_that_are_no_numbers_or_too_large_are_counted(tmp_path: Path) -> None:
    events = drive(40)
    events.append(("/cmd_vel", 100 * NS + 4_000_000, twist(float("nan"), 0.0)))
    events.append(("/cmd_vel", 100 * NS + 5_000_000, twist(7.0, 0.0)))
    recording = read(write_bag(tmp_path / "bag", events))
    assert recording.clipped == 1
    assert counts(recording)["/cmd_vel command"][2]["not finite"] == 1
    assert recording.command is not None and np.abs(recording.command.values).max() <= 1.0


def test_negative_costs_and_bytes_that_are_no_message_are_counted(tmp_path: Path) -> None:
    number = "std_msgs/msg/Float32"
    events = [
        *drive(40),
        ("/cost", 101 * NS, message(number, data=-1.0)),
        ("/cost", 102 * NS, b"\x00\x01\x00\x00"),
    ]
    events.append(("/camera/image_raw", 101 * NS, b"\x00\x01\x00\x00" + b"\xff" * 40))
    recording = read(write_bag(tmp_path / "bag", events))
    found = counts(recording)
    assert found["/cost cost"] == (2, 0, {"negative cost": 1, "damaged message": 1})
    assert found["/camera/image_raw camera front"] == (41, 40, {"damaged message": 1})


def test_odometry_that_no_command_explains_is_named(tmp_path: Path) -> None:
    events = drive(60)
    for i in range(60):
        stamp = 100 * NS + i * NS // 20
        fast = 9.0 if i == 30 else 0.2
        events.append(("/odom", stamp, odometry(fast, 0.0, stamp)))
    recording = read(write_bag(tmp_path / "bag", events))
    assert recording.odometry is not None
    assert recording.odometry.drops == {"odometry outlier": 1}
    assert (
        "outlier at 1.50 s" in recording.odometry.notes[0] and "linear.x 9.00" in recording.odometry.notes[0]
    )


def test_topics_nobody_asked_for_are_counted_too(tmp_path: Path) -> None:
    events = [*drive(5), ("/chatter", 100 * NS, message("std_msgs/msg/String", data="hello"))]
    assert counts(read(write_bag(tmp_path / "bag", events)))["/chatter not mapped"] == (
        1,
        0,
        {"not mapped": 1},
    )
