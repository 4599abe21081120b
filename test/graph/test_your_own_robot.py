"""docs/your_own_robot.md, walked with RoomNav's simulated robot in the place of a real one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger
from support.probe import DEADLINE_S, probing

from safe_o2o_ros.bundle import load_bundle
from safe_o2o_ros.data import EpisodeReader
from safe_o2o_ros.data.experience import ExperienceReader
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.resources import share_path
from safe_o2o_ros.types import Mode

MAIN = [sys.executable, "-c", "import sys; from safe_o2o_ros.cli.main import main; sys.exit(main())"]
SIM = ["--sim", "true", "--task", "RoomNav", "--episodes", "0", "--seed", "7"]
"""What makes the simulator the robot; everything else is what the guide says."""
LIMIT = 0.3


@contextmanager
def running(*arguments):
    """A command that goes on until it is interrupted; it must then end well."""
    process = subprocess.Popen(
        [*MAIN, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0 and "Traceback" not in said, said
    finally:
        process.kill()
        process.communicate()


def run(*arguments):
    done = subprocess.run([*MAIN, *arguments], capture_output=True, text=True, timeout=160)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Hands:
    """The operator: keeps pushing forward while something is awaited, and calls services."""

    def __init__(self, probe):
        self.probe = probe
        self._teleop = probe.node.create_publisher(Twist, "cmd_vel_teleop", qos.series(False))
        self._push = Twist()
        self._push.linear.x = 1.0  # more than the base file allows

    def driving_until(self, condition, what):
        def pushed():
            self._teleop.publish(self._push)
            return condition()

        self.probe.until(pushed, what)

    def ask(self, service, request=None):
        kind = Trigger if request is None else SetBool
        return self.probe.call(kind, service, kind.Request() if request is None else request)


@pytest.fixture(scope="module")
def robot(tmp_path_factory):
    """The folder in which the robot's files grow from step to step."""
    folder = tmp_path_factory.mktemp("my_robot")
    base = yaml.safe_load(share_path("config", "bases", "turtlebot4.yaml").read_text(encoding="utf-8"))
    base["max_velocity"] = [LIMIT, 0.0, 1.0]
    (folder / "my_base.yaml").write_text(yaml.safe_dump(base))
    # A real robot says nothing of episodes: the operator alone begins and ends a take.
    own = {
        "/**/recorder_node": {"ros__parameters": {"follow_episodes": False}},
        "/**/finetune_node": {"ros__parameters": {"settings": '{"batch": 8}', "piece": 0.5}},
    }
    (folder / "my.yaml").write_text(json.dumps(own))
    return folder


def test_record_with_labels_within_the_bases_limits_and_import(robot):
    base = ["--base", str(robot / "my_base.yaml"), "--params-file", str(robot / "my.yaml")]
    with probing() as probe, running("record", "--out", str(robot / "takes"), *base, *SIM):
        hands, sizes = Hands(probe), lambda: sum(f.stat().st_size for f in robot.glob("takes/take_*/*.mcap"))
        speeds = []
        probe.node.create_subscription(
            DiagnosticArray,
            "safety/state",
            lambda m: speeds.append(conversions.from_state(m)[0].action[0]),
            qos.series(False),
        )
        for _ in range(2):
            hands.driving_until(lambda: hands.ask("recorder_node/start").success, "pictures")
            for label in ("cost", "goal"):
                before = sizes()
                hands.driving_until(lambda b=before: sizes() > b + 150_000, "a stretch of driving")
                assert hands.ask(f"recorder_node/{label}").success
    assert max(speeds) == pytest.approx(LIMIT / 0.46, abs=0.01)  # raw action: the adapter's scale is 0.46 m/s
    # Where the machine itself stood still for a moment, a take would be cut in two as it should be.
    patient = ["--max-gap", "30", "--command-timeout", "30"]
    table = run("import", str(robot / "takes"), "--out", str(robot / "data"), "--task", "RoomNav", *patient)
    assert "take_0001: 1 episodes" in table and "take_0002: 1 episodes" in table
    episodes = list(EpisodeReader(robot / "data"))
    assert all(e.terminated and e.rewards[-1] == 1.0 and np.count_nonzero(e.costs) for e in episodes)


def test_pretrain_on_what_was_recorded(robot):
    # Of layers as small as the debug profile's the exporter makes constants that cannot be tuned.
    steps = [
        a
        for key in ("world_model.steps=2", "agent.steps=2", "model.critic_units=160", "model.percept=160")
        for a in ("--set", key)
    ]
    run(
        "pretrain", "--data", str(robot / "data"), "--config", "debug", *steps, "--out", str(robot / "bundle")
    )
    manifest = load_bundle(robot / "bundle").manifest
    assert manifest.adapter.name == "room_base" and manifest.image.cameras == ("front", "back")
    assert (robot / "bundle-run" / "reconstructions.png").stat().st_size > 1000


def test_shadow_mode_says_what_the_filter_would_do(robot):
    given = ["--bundle", str(robot / "bundle"), "--base", str(robot / "my_base.yaml")]
    with probing() as probe, running("deploy", *given, *SIM, "--mode", "shadow", "--start-enabled", "true"):
        states = probe.listen(DiagnosticArray, "safety/state", qos.series(False))

        def watched():
            return [m for m in states if conversions.from_state(m)[1] is Mode.SHADOW and _value(m, "would")]

        probe.until(watched, "a word on what it would have done")


def test_enabled_it_drives_within_the_limits_and_disabled_it_stands(robot):
    given = ["--bundle", str(robot / "bundle"), "--base", str(robot / "my_base.yaml"), "--mode", "filter"]
    with probing() as probe, running("deploy", *given, *SIM, "--start-enabled", "false"):
        hands, decisions = Hands(probe), []
        probe.node.create_subscription(
            DiagnosticArray,
            "safety/state",
            lambda m: decisions.append(conversions.from_state(m)[0]),
            qos.series(False),
        )
        probe.until(lambda: decisions and decisions[-1].reason.value == "disabled", "the lock")
        assert not decisions[-1].action.any()
        assert hands.ask("safety_filter_node/enable", SetBool.Request(data=True)).success
        # Networks of two updates are no judges: what counts is that they are asked, not what they say.
        judged = ("pass", "substitute", "escape", "recover", "stuck", "out_of_distribution")
        probe.until(lambda: decisions[-1].reason.value in judged, "a judged command")
        assert abs(decisions[-1].action[0]) <= LIMIT / 0.46 + 1e-3
        assert hands.ask("safety_filter_node/enable", SetBool.Request(data=False)).success
        probe.until(lambda: decisions[-1].reason.value == "disabled", "the lock again")


def test_driving_becomes_experience_and_the_learner_begins(robot):
    given = ["--bundle", str(robot / "bundle"), "--base", str(robot / "my_base.yaml"), "--mode", "filter"]
    more = ["--finetune", "true", "--experience-dir", str(robot / "experience")]
    # The learner takes whole episodes; these end after four seconds.
    more += ["--params-file", str(robot / "my.yaml"), "--max-periods", "40"]
    with probing() as probe, running("deploy", *given, *more, *SIM, "--start-enabled", "true"):
        acks = probe.listen(String, "experience/ack", qos.receipts())
        statuses = []
        probe.node.create_subscription(
            DiagnosticArray, "diagnostics", lambda m: statuses.extend(m.status), qos.series(False)
        )
        probe.until(lambda: len(acks) >= 3, "experience on disk")

        def updates():
            found = [s for s in statuses if s.name == "finetune_node"]
            return int({v.key: v.value for v in found[-1].values}.get("learner_update") or 0) if found else 0

        probe.until(lambda: updates() > 0, "the learner's first update")
    pieces = [piece for _, piece in ExperienceReader(robot / "experience").new_since(-1)]
    assert {p.metadata["bundle"] for p in pieces} == {load_bundle(robot / "bundle").version}


def _value(message, key):
    return next((v.value for v in message.status[0].values if v.key == key), "")
