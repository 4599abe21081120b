"""A recording through the real graph: every frame is answered or named, and the driver is compared."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from support import recordings
from support.recordings import NS
from support.tiny_bundle import write_tiny_bundle
from support.tiny_store import make_episode, manifest, write_tiny_store

from safe_o2o_ros.bundle import load_bundle
from safe_o2o_ros.cli.main import main
from safe_o2o_ros.data import EpisodeReader, EpisodeWriter
from safe_o2o_ros.data.driven import Driven
from safe_o2o_ros.data.export_bag import write_bag
from safe_o2o_ros.perception.encoder import RecurrentEncoder
from safe_o2o_ros.perception.preprocess import stack
from safe_o2o_ros.policy.policy import ExpansionPolicy
from safe_o2o_ros.report.replay_numbers import course, driver_numbers, filter_numbers, frame_numbers
from safe_o2o_ros.robot import POINT
from safe_o2o_ros.types import FrameSet

SCALE = np.array(POINT.scale)


def cli(*arguments: object) -> int:
    return main([str(a) for a in arguments])


def played(out: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The record and the frames of a report, whose parts are all there."""
    assert (out / "replay.png").read_bytes()[:4] == b"\x89PNG"
    page = (out / "index.html").read_text()
    assert "Policy against driver" in page and "replay.png" in page
    with np.load(out / "frames.npz") as file:
        frames = dict(file)
    record = json.loads((out / "replay.json").read_text())
    lost = record["frames"]["lost"]
    assert record["frames"]["answered"] + sum(lost.values()) == record["frames"]["played"]
    assert len(frames["seconds"]) == record["frames"]["answered"]
    return record, frames


def said_directly(bundle_path: Path, store: Path) -> list[NDArray[np.float64]]:
    """Commands (T + 1, 2) of the policy at each frame of each episode, m/s and rad/s."""
    bundle = load_bundle(bundle_path)
    cameras = bundle.manifest.image.cameras
    encoder, policy = RecurrentEncoder(bundle), ExpansionPolicy(bundle, 0)
    said = []
    for episode in EpisodeReader(store):
        state, choice = encoder.initial(), policy.initial()
        rows = []
        for step in range(len(episode) + 1):
            image = stack({name: episode.images[name][step] for name in cameras}, cameras, 64, 64)
            action = episode.actions[step - 1] if step else np.zeros(2, np.float32)
            state, latent = encoder.step(state, FrameSet(step, image), action)
            choice, proposal = policy.step(choice, latent)
            rows.append(proposal.action * SCALE)
        said.append(np.array(rows))
    return said


def test_a_bag_is_played_and_compared_with_what_was_driven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever domain the shell is in: a robot may be, too.
    domain = os.environ["ROS_DOMAIN_ID"]
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    monkeypatch.chdir(tmp_path)
    write_tiny_bundle(tmp_path / "bundle")
    write_tiny_store(tmp_path / "store", (30, 12))
    assert cli("export", tmp_path / "store", "--out", tmp_path / "bag") == 0
    assert cli("deploy", "--replay", tmp_path / "bag", "--bundle", tmp_path / "bundle") == 0
    assert os.environ["ROS_DOMAIN_ID"] == domain
    record, frames = played(tmp_path / "runs" / "replay-1")

    assert record["topics"] == {
        "front": "/front/image_raw",
        "back": "/back/image_raw",
        "command": "/executed_cmd",
    }
    assert record["frames"]["recorded"] == record["frames"]["played"] == 31 + 13
    assert record["played"] == {"front": 44, "back": 44}
    assert record["frames"]["not_played"] == {}
    assert record["frames"]["answered"] > 30
    # The second episode begins with a fresh state, and the world model hears what was driven.
    assert record["frames"]["begun_anew"] == 1
    assert record["encoder_saw"] == "recorded"

    # What the driver did is what was written: step k of an episode begins at k periods.
    written = [episode.actions * SCALE for episode in EpisodeReader(tmp_path / "store")]
    begin = 0.08 * (30 + 1) + 1.0
    step = np.round(
        np.where(frames["seconds"] < begin - 0.5, frames["seconds"], frames["seconds"] - begin) / 0.08
    )
    expected = []
    for at, index in zip(frames["seconds"], step.astype(int), strict=True):
        actions = written[0] if at < begin - 0.5 else written[1]
        # After the last command of an episode it stays in force.
        expected.append(actions[min(index, len(actions) - 1)])
    np.testing.assert_allclose(frames["driver"], expected, rtol=1e-5, atol=1e-6)
    for channel, name in enumerate(POINT.action_names):
        told = record["driver"]["channels"][name]
        policy, driver = frames["policy"][:, channel], np.array(expected)[:, channel]
        assert told["mean_absolute_difference"] == pytest.approx(np.abs(policy - driver).mean(), rel=1e-4)
        assert told["correlation"] == pytest.approx(np.corrcoef(policy, driver)[0, 1], abs=1e-4)

    # So the policy says what it says without a graph, one step after the other, in both episodes.
    directly = said_directly(tmp_path / "bundle", tmp_path / "store")
    first = frames["seconds"] < begin - 0.5
    compared = 0
    for episode, of_it in enumerate((first, ~first)):
        steps = step[of_it].astype(int)
        # Up to the first frame that a busy machine lost.
        whole = int(np.argmin(np.append(steps, -1) == np.arange(len(steps) + 1)))
        if record["frames"]["without_its_command"] == 0:
            said = frames["policy"][of_it][:whole]
            np.testing.assert_allclose(said, directly[episode][:whole], rtol=1e-4, atol=1e-5)
            compared += whole
    assert compared > 0 or record["frames"]["without_its_command"] > 0

    reasons = record["filter"]["reasons"]
    assert sum(reasons.values()) == record["frames"]["answered"]
    assert record["filter"]["not_passed"] == sum(n for reason, n in reasons.items() if reason != "pass")
    other = np.abs(frames["would_action"] - frames["policy"]).max(axis=1) > 1e-3
    assert record["filter"]["would_change"] == np.sum(other & (frames["would"] != "pass")) > 0
    assert record["filter"]["threshold"] == {"min": 0.5, "median": 0.5, "max": 0.5}
    np.testing.assert_array_equal(frames["threshold"], 0.5)
    assert (frames["age_ms"] > 0.0).all() and record["age_ms"]["p50"] <= record["age_ms"]["p99"]


def test_a_folder_with_a_csv_is_converted_first(tmp_path: Path) -> None:
    write_tiny_bundle(tmp_path / "bundle", cameras=("front",))
    folder = tmp_path / "folder"
    (folder / "images").mkdir(parents=True)
    lines = ["timestamp_ms,image,throttle,steering"]
    for number in range(15):
        cv2.imwrite(str(folder / "images" / f"{number}.png"), recordings.picture(number, 32))
        lines.append(f"{1000 + 80 * number},images/{number}.png,0.5,{0.02 * number}")
    (folder / "records.csv").write_text("\n".join(lines) + "\n")
    given = ("--column", "linear.x=throttle", "--column", "angular.z=steering")
    out = tmp_path / "out"
    assert cli("deploy", "--replay", folder, "--bundle", tmp_path / "bundle", "--out", out, *given) == 0
    record, frames = played(out)
    assert record["converted"]["frames"] == 15 and record["converted"]["episodes"] == 1
    index = np.round(frames["seconds"] / 0.08).astype(int)
    np.testing.assert_allclose(frames["driver"][:, 0], 0.5, rtol=1e-4)
    assert (np.abs(frames["driver"][:, 1] - 0.02 * np.minimum(index, 14)) < 0.021).all()
    assert "converted as an import does" in (out / "index.html").read_text()


def test_a_recording_without_commands_says_so(tmp_path: Path) -> None:
    write_tiny_bundle(tmp_path / "bundle", cameras=("front",))
    events: list[recordings.Event] = [
        ("/eye", NS + 80_000_000 * k, recordings.image(recordings.picture(k), NS + 80_000_000 * k))
        for k in range(12)
    ]
    # One frame that is none.
    events.append(
        ("/eye", 2 * NS, recordings.image(recordings.picture(0), 2 * NS, data=np.zeros(0, np.uint8)))
    )
    bag = recordings.write_bag(tmp_path / "bag", events, "sqlite3")
    out = tmp_path / "out"
    given = ("--bundle", tmp_path / "bundle", "--out", out, "--camera", "front=/eye")
    assert cli("deploy", "--replay", bag, *given) == 0
    record, frames = played(out)
    assert record["frames"]["recorded"] == 13 and record["frames"]["not_played"] == {"unreadable": 1}
    assert record["driver"] is None and record["encoder_saw"] == "policy"
    assert np.isnan(frames["driver"]).all()


@pytest.mark.parametrize(
    "damage", ["nothing", "garbage", "no images", "unknown camera", "two", "robot", "sim"]
)
def test_what_cannot_be_played_is_said_in_one_sentence(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tiny_bundle(tmp_path / "bundle")
    path, more, says = tmp_path / "bag", (), ""
    stamp = NS
    if damage == "nothing":
        says = "there is no recording"
    elif damage == "garbage":
        path.mkdir()
        (path / "bag.mcap").write_bytes(b"garbage")
        says = "does not begin as an MCAP file does"
    elif damage == "no images":
        recordings.write_bag(path, [("/cmd_vel", stamp, recordings.twist(0.1, 0.0))])
        says = "holds no images"
    elif damage == "two":
        image = recordings.image(recordings.picture(0), stamp)
        recordings.write_bag(path, [("/left", stamp, image), ("/right", stamp, image)])
        says = "with --camera front=TOPIC"
    else:
        write_tiny_store(tmp_path / "store", (9,))
        write_bag(EpisodeReader(tmp_path / "store"), path)
        if damage == "unknown camera":
            more, says = ("--camera", "side=/front/image_raw"), "the bundle has no camera 'side'"
        elif damage == "sim":
            more, says = ("--sim", "true"), "--sim does not go with --replay"
        else:
            write_tiny_bundle(tmp_path / "bundle", task="RoomNav")
            says = "was driven by the robot 'point'"
    assert cli("deploy", "--replay", path, "--bundle", tmp_path / "bundle", *more) == 2
    error = capsys.readouterr().err
    assert says in error and error.startswith("error: ") and error.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_options_of_a_replay_need_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli("deploy", "--out", "report") == 2
    assert "--out needs --replay" in capsys.readouterr().err


def test_a_store_of_another_length_is_played_as_well_as_its_bag(tmp_path: Path) -> None:
    write_tiny_bundle(tmp_path / "bundle")
    with EpisodeWriter(tmp_path / "store", manifest()) as writer:
        writer.append(make_episode(10, 5))
    out = tmp_path / "out"
    assert cli("deploy", "--replay", tmp_path / "store", "--bundle", tmp_path / "bundle", "--out", out) == 0
    record, _ = played(out)
    assert record["frames"]["played"] == 11 and record["frames"]["begun_anew"] == 0


def test_the_command_of_a_frame_is_the_newest_before_the_next() -> None:
    period = 100
    driven = Driven(
        frames_ns=np.array([0, 100, 200, 1_000_000_000]),
        cost=np.zeros(4, np.float32),
        command_ns=np.array([5, 95, 100, 230]),
        actions=np.array([[0.1], [0.2], [0.3], [0.4]], np.float32),
        begins_ns=np.zeros(0, np.int64),
        period_ns=period,
    )
    values = [driven.at(stamp) for stamp in (0, 100, 200, 1_000_000_000)]
    assert [None if v is None else round(float(v[0]), 3) for v in values] == [0.2, 0.3, 0.4, None]


def test_numbers_of_a_replay_made_by_hand() -> None:
    period = 80_000_000
    stamps = [NS + k * period for k in range(5)]
    driven = Driven(
        frames_ns=np.array(stamps),
        cost=np.array([0, 1, 0, 0, 0], np.float32),
        command_ns=np.array(stamps[:4]),
        actions=np.array([[0.0, 0.0], [0.2, 0.1], [0.4, 0.0], [0.6, 0.1]], np.float32),
        begins_ns=np.zeros(0, np.int64),
        period_ns=period,
    )
    rows: list[dict[str, Any]] = [
        {"stamp_ns": s, "image_ns": 10, "latent_ns": 20, "nominal_ns": 30, "nominal": [0.5, 0.5]}
        for s in stamps[:4]
    ]
    for row in rows[:3]:
        row["executed_ns"] = 5_000_010
    rows.append({"stamp_ns": stamps[4], "image_ns": 10})
    state = {"reason": "shadow", "late_input": "", "value": 0.9, "threshold": 0.5, "would_action": [0.0, 0.0]}
    found = {
        "rows": rows,
        "states": [
            {**state, "stamp_ns": stamps[0], "would": "pass", "novelty": ""},
            {**state, "stamp_ns": stamps[1], "would": "substitute", "novelty": "caution: pictures"},
            # A deadline's answer to the same frame does not count.
            {**state, "stamp_ns": stamps[1], "would": "stale", "novelty": ""},
            {**state, "stamp_ns": stamps[2], "would": "escape", "novelty": "stop: surprise"},
        ],
        "received": {"front": 5},
        "diagnostics": {
            "camera_node: front": {"frames": "5", "dropped_unreadable": "2"},
            "encoder_node": {"between_periods": "1"},
        },
        "resets": 0,
    }
    what = course(found, driven, POINT)
    assert what.would == ("pass", "substitute", "escape")
    np.testing.assert_allclose(what.age_ms, 5.0)
    np.testing.assert_array_equal(what.cost, [0.0, 1.0, 0.0])
    numbers = driver_numbers(what, POINT)
    assert numbers is not None
    # |0.5 - (0, 0.2, 0.4)| has the mean 0.3; full scale is 1.5 m/s.
    assert numbers["channels"]["linear.x"]["mean_absolute_difference"] == pytest.approx(0.3 * 1.5)
    assert numbers["channels"]["linear.x"]["correlation"] is None
    told = filter_numbers(what)
    assert told["not_passed"] == 2
    assert (told["would_change"], told["would_change_share"]) == (2, pytest.approx(2 / 3))
    assert told["novelty"] == {"none": 1, "caution": 1, "stop": 1}
    frames = frame_numbers(found, "front", recorded=8)
    assert frames["not_played"] == {"unreadable": 2, "unread": 1}
    assert (frames["played"], frames["answered"]) == (5, 3)
    assert frames["lost"] == {"no answer of the filter": 1, "faster than the control period": 1}
