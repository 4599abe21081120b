"""finetune_node records what the robot lived through, holds the learner, and never holds up driving."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist, TwistStamped
from std_msgs.msg import String
from std_srvs.srv import Trigger
from support.pieces import MANIFEST, open_store
from support.probe import probing, running
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.data.assembly import Assembler
from safe_o2o_ros.data.experience import ExperienceReader
from safe_o2o_ros.graph import DeployOptions, deployment
from safe_o2o_ros.nodes import qos
from safe_o2o_ros.processes import Processes
from safe_o2o_ros.report.log import EpisodeLog

FAKE = Path(__file__).resolve().parent.parent / "support" / "fake_learner.py"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundles") / "tiny"
    write_tiny_bundle(path, seed=5, proposals=2, risk_threshold=0.35)
    return path


def params_file(path, **values):
    """finetune_node with a learner that learns nothing, and other parameters."""
    given = {"learner": [sys.executable, str(FAKE)], "piece": 0.4, **values}
    path.write_text(json.dumps({"/**/finetune_node": {"ros__parameters": given}}))
    return str(path)


def episodes(store):
    reader, assembler = ExperienceReader(store), Assembler()
    found = [e for _, piece in reader.new_since(-1) for e in assembler.add(piece)]
    assert (reader.skipped, assembler.holes, assembler.repeated, assembler.rest()) == ([], 0, 0, None)
    return found


@pytest.mark.parametrize("task", ["PointGoal1", "RoomNav"])
def test_in_lockstep_what_is_stored_is_what_the_simulator_recorded_bit_for_bit(task, tmp_path):
    write_tiny_bundle(tmp_path / "tiny", seed=5, task=task, risk_threshold=0.35)
    graph = deployment(
        DeployOptions(
            sim=True, task=task, lockstep=True, bundle=str(tmp_path / "tiny"), seed=40_000, episodes=3,
            max_periods=17, record_dir=str(tmp_path / "logs"), top_size=16, finetune=True, train=False,
            experience_dir=str(tmp_path / "store"), params_file=params_file(tmp_path / "params.yaml"),
        )
    )  # fmt: skip
    lines = []
    Processes(graph, lambda node, line, stdout: lines.append(f"{node}: {line}")).run()
    logs = [EpisodeLog.load(path) for path in sorted((tmp_path / "logs").glob("*.npz"))]
    stored = episodes(tmp_path / "store")
    assert len(stored) == len(logs) == 3, lines
    for log, episode in zip(logs, stored, strict=True):
        assert np.array_equal(episode.actions, log.executed)
        assert np.array_equal(episode.rewards, log.reward.astype(np.float32))
        assert np.array_equal(episode.costs, log.cost.astype(np.float32))
        assert np.array_equal(episode.extras["nominal"], log.nominal)
        assert np.array_equal(episode.extras["override"], log.changed)
        assert np.array_equal(episode.extras["safety_value"], log.value.astype(np.float32), equal_nan=True)
        for camera, frames in log.images.items():
            assert np.array_equal(episode.images[camera][:-1], frames)
            # What the last action led to was seen, too.
            assert not np.array_equal(episode.images[camera][-1], frames[-1])
        assert (len(episode), episode.truncated, episode.metadata["end"]) == (17, True, "timeout")
        assert episode.metadata["bundle"] == "tiny-1" and episode.metadata["gaps"] == []
    assert stored[0].metadata["pieces"] > 1
    assert any(episode.extras["override"].any() for episode in stored)


class Driving:
    """A simulated robot that drives in real time, with finetune_node beside it."""

    def __init__(self, probe, nodes, store):
        self.probe, self.nodes, self.store = probe, nodes, store
        self.commands = probe.listen(TwistStamped, "executed_cmd", qos.series(False))
        self.acks = probe.listen(String, "experience/ack", qos.receipts())
        self.candidates = probe.listen(String, "bundle/candidate", qos.facts())
        self.events = probe.listen(String, "episode", qos.facts())
        self.statuses = []
        probe.node.create_subscription(DiagnosticArray, "diagnostics", self._on_status, qos.series(False))

    def _on_status(self, message):
        (status,) = message.status
        if status.name == "finetune_node":
            self.statuses.append((status.level[0], status.message, {v.key: v.value for v in status.values}))

    def until_it_says(self, condition, what):
        """The first status from now on that fulfils `condition(level, text, values)`."""
        seen = len(self.statuses)
        self.probe.until(lambda: any(condition(*s) for s in self.statuses[seen:]), what)
        return next(s for s in self.statuses[seen:] if condition(*s))

    def until_acknowledged(self, more=2):
        seen = len(self.acks)
        self.probe.until(lambda: len(self.acks) >= seen + more, "experience to be stored")
        return [json.loads(m.data) for m in self.acks[seen:]]

    def until_driven_on(self):
        seen = len(self.commands)
        self.probe.until(lambda: len(self.commands) > seen + 25, "the robot to drive on")

    def ask(self, word):
        return self.probe.call(Trigger, f"finetune_node/{word}", Trigger.Request())


def check_account(values):
    """Nothing was lost without a name."""
    lost = sum(int(v) for k, v in values.items() if k.startswith("dropped_"))
    assert int(values["transitions"]) == int(values["stored"]) + int(values["pending"]) + lost


@pytest.fixture
def drive(bundle, tmp_path):
    """Starts the graph with finetune_node; ends it."""
    stack = []

    def start(train=True, max_periods=30, **values):
        graph = deployment(
            DeployOptions(
                sim=True, bundle=str(bundle), seed=40_000, max_periods=max_periods, finetune=True,
                train=train, experience_dir=str(tmp_path / "store"), use_monitor=False,
                params_file=params_file(tmp_path / "params.yaml", **values),
            )
        )  # fmt: skip
        probe = probing()
        nodes = running(graph)
        stack.extend([probe, nodes])
        return Driving(probe.__enter__(), nodes.__enter__(), tmp_path / "store")

    yield start
    for context in reversed(stack):
        context.__exit__(None, None, None)


def test_in_real_time_everything_is_stored_or_named_while_the_learner_reads_it(drive):
    robot = drive()
    acks = robot.until_acknowledged(8)
    ids = [ack["id"] for ack in acks]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    stored = dict(ExperienceReader(robot.store).new_since(-1))  # while more is written
    assert {ack["id"] for ack in acks} <= set(stored)
    for ack in acks:
        piece = stored[ack["id"]]
        assert (ack["episode"], ack["piece"], ack["steps"]) == (
            piece.metadata["episode"], piece.metadata["piece"], len(piece),
        )  # fmt: skip
    robot.probe.until(lambda: [e.data for e in robot.events].count("start") >= 3, "some episodes")
    _, _, values = robot.until_it_says(lambda *s: int(s[2]["learner_transitions"]) > 30, "the learner")
    dropped = {k: int(v) for k, v in values.items() if k.startswith("dropped_") and int(v)}
    check_account(values)
    # One between two episodes, and the first second; a busy machine may find the others later than that.
    late = {"dropped_no_command", "dropped_no_reward"}
    assert {"dropped_starting"} <= set(dropped) <= {"dropped_starting", "dropped_between_episodes", *late}
    assert values["learner"] == "running" and float(values["loss_reward"]) > 0.0
    ended = [p for p in stored.values() if p.truncated]
    assert {p.metadata["end"] for p in ended} <= {"timeout", "no_reward"}


def test_the_learner_is_paused_resumed_and_asked_for_a_candidate(drive):
    robot = drive()
    robot.until_it_says(lambda *s: s[2]["learner"] == "running", "the learner to run")
    assert robot.ask("pause").success
    before = robot.until_it_says(lambda *s: s[2]["learner_says"] == "paused", "the pause")[2]
    assert before["learner"] == "paused"
    robot.until_driven_on()
    after = robot.until_it_says(lambda *s: True, "a status")[2]
    assert after["learner_update"] == before["learner_update"]
    assert robot.ask("resume").success
    robot.until_it_says(lambda *s: int(s[2]["learner_update"]) > int(after["learner_update"]), "progress")
    assert robot.ask("package").success
    robot.probe.until(lambda: robot.candidates, "a candidate")
    facts = json.loads(robot.candidates[-1].data)
    manifest = (Path(facts["path"]) / "manifest.json").read_bytes()
    assert facts["sha256"] == hashlib.sha256(manifest).hexdigest()
    assert facts["version"] == json.loads(manifest)["version"]


def test_a_killed_learner_is_named_and_comes_back_while_the_robot_drives(drive):
    robot = drive()
    values = robot.until_it_says(lambda *s: s[2]["learner"] == "running", "the learner")[2]
    os.kill(int(values["learner_pid"]), signal.SIGKILL)
    robot.until_it_says(
        lambda *s: s[2]["learner_restarts"] == "1" and s[2]["learner"] == "running", "another"
    )
    robot.until_driven_on()
    robot.until_acknowledged()


def test_a_full_disk_stops_recording_with_an_error_and_never_driving_and_recording_resumes(drive):
    robot = drive(train=False, queue=3)
    robot.until_acknowledged()
    process = robot.nodes.process("finetune_node")
    # No file may grow any more: for what is written the disk is full.
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    level, text, _ = robot.until_it_says(lambda *s: s[0] == 2, "the error")
    assert "nothing is recorded" in text and "free space" in text
    robot.until_it_says(lambda *s: int(s[2]["dropped_queue_full"]) > 0, "a named loss")
    robot.until_driven_on()
    assert process.poll() is None
    last = json.loads(robot.acks[-1].data)["id"]
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    ids = [ack["id"] for ack in robot.until_acknowledged(4)]
    assert ids[0] == last + 1
    values = robot.until_it_says(lambda *s: s[0] == 0, "that all is well again")[2]
    check_account(values)
    reader = ExperienceReader(robot.store)
    assert set(ids) <= {i for i, _ in reader.new_since(-1)} and reader.skipped == []


def test_an_operator_who_takes_over_is_recorded_as_such_and_costs_what_was_asked(drive):
    robot = drive(train=False, max_periods=0, operator_cost=7.0)
    robot.until_acknowledged()
    hands = robot.probe.node.create_publisher(Twist, "cmd_vel_teleop", qos.pipeline(False))
    backward = Twist()
    backward.linear.x = -0.02
    timer = robot.probe.node.create_timer(0.05, lambda: hands.publish(backward))

    def by_hand():
        pieces = [piece for _, piece in ExperienceReader(robot.store).new_since(-1)]
        return [p for p in pieces if p.extras["intervention"].any()]

    robot.probe.until(by_hand, "what the operator did to be stored")
    robot.until_acknowledged(3)
    timer.cancel()
    stored = by_hand()
    rows = {
        name: np.concatenate([getattr(p, name) if hasattr(p, name) else p.extras[name] for p in stored])
        for name in ("costs", "intervention", "actions", "nominal")
    }
    hand = rows["intervention"] == 1
    first = int(np.argmax(hand))
    # Taking over costs once, at its beginning; what the policy would have done is kept beside what was done.
    assert rows["costs"][first] == 7.0 and (rows["costs"][first + 1 :] != 7.0).all()
    assert not np.array_equal(rows["actions"][hand], rows["nominal"][hand])


def test_without_training_no_learner_runs_and_torch_is_not_loaded(drive):
    robot = drive(train=False)
    robot.until_acknowledged()
    values = robot.until_it_says(lambda *s: True, "a status")[2]
    assert values["learner"] == "off"
    for word in ("pause", "package"):
        answer = robot.ask(word)
        assert not answer.success and "training is off" in answer.message
    process = robot.nodes.process("finetune_node")
    assert "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text()


def test_a_node_that_is_stopped_stores_what_it_has_and_ends_well(drive):
    robot = drive(max_periods=0)
    robot.until_acknowledged()
    code, errors = robot.nodes.end("finetune_node", signal.SIGTERM)
    assert code == 0 and "Traceback" not in errors
    pieces = [p for _, p in ExperienceReader(robot.store).new_since(-1)]
    assert (pieces[-1].truncated, pieces[-1].metadata["end"]) == (True, "shutdown")
    robot.until_driven_on()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "set experience_dir to a directory"),
        ({"experience_dir": "STORE", "outcome_delay": 0.5}, "must be at most the period, 0.08 s"),
        ({"experience_dir": "STORE", "settings": "[1]"}, "must be a JSON object"),
        ({"experience_dir": "OTHER"}, "write to another directory"),
        ({"experience_dir": "STORE", "bundle": ""}, "no model bundle is named"),
    ],
)
def test_a_node_that_is_started_wrongly_says_how_in_one_sentence(bundle, tmp_path, values, words):
    other = tmp_path / "other"
    with open_store(other, manifest=replace(MANIFEST, task="PointGoal2")):
        pass
    places = {"STORE": str(tmp_path / "store"), "OTHER": str(other)}
    given = {"bundle": str(bundle), **{k: places.get(v, v) for k, v in values.items()}}
    arguments = [a for k, v in given.items() for a in ("-p", f"{k}:={json.dumps(v)}")]
    command = [sys.executable, "-m", "safe_o2o_ros.nodes.finetune_node", "--ros-args", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and words in done.stderr and "Traceback" not in done.stderr


def test_a_node_that_hangs_holds_up_nobody_and_accounts_for_the_time(drive):
    robot = drive(train=False)
    robot.until_acknowledged()
    process = robot.nodes.process("finetune_node")
    process.send_signal(signal.SIGSTOP)
    robot.until_driven_on()
    process.send_signal(signal.SIGCONT)
    robot.until_acknowledged()
    check_account(robot.until_it_says(lambda *s: s[0] == 0, "that all is well")[2])
