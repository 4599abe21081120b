"""`safe-o2o record`: an operator drives the simulated robot, and what was driven is in the store."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from geometry_msgs.msg import Twist
from rosbags.rosbag2 import Reader
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from support.probe import DEADLINE_S, probing
from support.recordings import STORE, drive, kind_of

from safe_o2o_ros.data import EpisodeReader
from safe_o2o_ros.data.takes import TakeFolder
from safe_o2o_ros.nodes import qos

MAIN = [sys.executable, "-c", "import sys; from safe_o2o_ros.cli.main import main; sys.exit(main())"]


def record(*arguments):
    return subprocess.Popen(
        [*MAIN, "record", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def messages(take, topic):
    with Reader(take) as reader:
        wanted = [c for c in reader.connections if c.topic == topic]
        return len(list(reader.messages(wanted))) if wanted else 0


def test_an_operator_drives_labels_and_finds_the_drive_in_the_store(tmp_path):
    out, store, result = tmp_path / "takes", tmp_path / "store", tmp_path / "result.json"
    arguments = ["--sim", "true", "--task", "RoomNav", "--episodes", "0", "--seed", "7", "--out", str(out)]
    process = record(*arguments, "--store", str(store), "--json", str(result))
    try:
        with probing() as probe:
            teleop = probe.node.create_publisher(Twist, "cmd_vel_teleop", qos.series(False))
            bumper = probe.node.create_publisher(Bool, "bumper", qos.series(False))
            probe.until(lambda: teleop.get_subscription_count() >= 2, "filter and recorder")
            probe.until(lambda: process.poll() is None and bumper.get_subscription_count(), "the recorder")

            def push():
                message = Twist()
                message.linear.x = 0.1
                teleop.publish(message)

            def ask(word):
                return probe.call(Trigger, f"recorder_node/{word}", Trigger.Request())

            def size():
                return sum(f.stat().st_size for f in out.glob("take_*/*.mcap"))

            def driving_until(condition, what):
                probe.until(lambda: bool(push()) or condition(), what)

            driving_until(lambda: ask("start").success, "the first pictures")
            driving_until(lambda: size() > 60_000, "a drive")
            assert ask("cost").success
            before = size()
            driving_until(lambda: size() > before + 60_000, "more of it")
            assert ask("goal").message == "goal reached"
            process.send_signal(signal.SIGINT)
            shown, errors = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, errors
    (take,) = out.glob("take_*")
    assert (
        "takes in" in errors and take.name in errors and f"next: safe-o2o import {out} --out STORE" in errors
    )
    content = json.loads(result.read_text())
    (told,) = content["takes"]
    assert (told["name"], told["ending"]) == (take.name, "success")
    assert content["total"]["dropped_queue_full"] == content["total"]["dropped_disk"] == 0
    frames = sum(messages(take, f"/{camera}/image_raw/compressed") for camera in ("front", "back"))
    assert told["frames"] == content["total"]["frames"] == frames > 20
    assert f"{take.name}: 1 episodes" in shown
    (episode,) = EpisodeReader(store)
    assert (episode.terminated, episode.metadata["success"]) == (True, True)
    assert episode.rewards[-1] == 1.0 and not episode.rewards[:-1].any()
    assert 1 <= np.count_nonzero(episode.costs) < len(episode)
    # The operator's command, limited: the base accelerates to it and stays there.
    assert (episode.actions[-5:, 0] > 0.0).all()
    assert episode.images["front"].shape[1:] == (64, 64, 3)


def test_a_second_import_takes_only_what_is_new(tmp_path):
    folder = TakeFolder(tmp_path / "takes")

    def take():
        made = folder.new({})
        for topic, receipt, content in sorted(drive(60), key=lambda e: e[1]):
            kind = kind_of(content)
            made.write(topic, kind, receipt, receipt, bytes(STORE.serialize_cdr(content, kind)))
        made.finish()

    def imported():
        command = [
            *MAIN,
            "import",
            str(folder.directory),
            "--adapter",
            "turtlebot4",
            "--out",
            str(tmp_path / "store"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    take()
    # Pressed during three frames; the fourth begins before the release is said.
    assert "take_0001: 1 episodes, 59 steps, 4 of them cost" in imported()
    take()
    folder.new({})  # and one that goes on
    shown = imported()
    assert "take_0003: is being recorded" in shown
    assert "take_0001: is in the store already" in shown and "take_0002: 1 episodes, 59 steps" in shown
    assert len(list(EpisodeReader(tmp_path / "store"))) == 2
    folder.close()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "no place to record to"),
        (["--out", "x", "--base", "nobody"], "nobody"),
        (["--out", "x", "--policy", "perhaps"], "policy is 'perhaps'"),
        (["--out", "x", "--mode", "limits_only", "--base", "turtlebot4"], "name cameras"),
    ],
)
def test_a_wrong_call_is_one_sentence(tmp_path, arguments, sentence):
    done = subprocess.run(
        [*MAIN, "record", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ,
    )
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert lines and sentence in lines[-1]
