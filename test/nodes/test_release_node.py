"""The release node in the driving graph: gate, offer, canary, roll back, each with its word and its trace."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist
from std_msgs.msg import String
from std_srvs.srv import Trigger
from support.probe import probing, running
from support.swapping import Offerer, altered, write_family

from safe_o2o_ros.bundle import sha256, sign_bundle
from safe_o2o_ros.graph import DeployOptions, deployment
from safe_o2o_ros.manifest import MANIFEST_NAME, read_manifest
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.signature import SigningKey, write_keys

FAKE_GATE = Path(__file__).parents[1] / "support" / "fake_gate.py"
MAIN = "import sys; from safe_o2o_ros.cli.main import main; sys.exit(main())"


class Robot:
    """The driving graph with its release node, and everything it says."""

    def __init__(self, probe, nodes, folder):
        self.probe, self.nodes, self.folder = probe, nodes, folder
        self.hand = Offerer(probe)
        self.states = probe.listen(DiagnosticArray, "safety/state", qos.series(False))
        self._verdicts = probe.listen(String, "bundle/verdict", qos.answers())
        self.candidates = probe.node.create_publisher(String, "bundle/candidate", qos.facts())
        self.operator = probe.node.create_publisher(Twist, "cmd_vel_teleop", qos.pipeline(False))

    @property
    def said(self):
        return [json.loads(m.data) for m in list(self._verdicts)]

    def log(self):
        return [json.loads(line) for line in (self.folder / "verdicts.jsonl").read_text().splitlines()]

    def bring(self, path, **more):
        named = {
            "version": read_manifest(path).version,
            "path": str(path),
            "sha256": sha256(path / MANIFEST_NAME),
        }
        self.candidates.publish(String(data=json.dumps(named | more)))
        return named["version"]

    def until_said(self, event, candidate):
        """The first word of that kind on this candidate."""
        found = lambda: [s for s in self.said if (s["event"], s["candidate"]) == (event, candidate)]  # noqa: E731
        self.probe.until(lambda: bool(found()), f"'{event}' about {candidate}")
        return found()[0]

    def until_driving(self, version):
        seen = len(self.states)

        def passes():
            found = [conversions.from_state(m)[0] for m in self.states[seen:]]
            return any((d.reason.value, d.version) == ("pass", version) for d in found)

        self.probe.until(passes, f"driving with {version}")

    def take_over(self):
        """The operator drives until the filter says so, then lets go until it drives again."""
        seen = len(self.states)

        def reasons():
            return [conversions.from_state(m)[0].reason.value for m in self.states[seen:]]

        def drives():
            self.operator.publish(Twist())
            return "operator" in reasons()

        self.probe.until(drives, "the operator")
        seen = len(self.states)
        self.probe.until(lambda: "pass" in reasons(), "the policy")

    def command(self, *arguments):
        done = subprocess.run(
            [sys.executable, "-c", MAIN, *arguments],
            capture_output=True,
            text=True,
            env=os.environ,
            timeout=90,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    return write_family(tmp_path_factory.mktemp("bundles"), risk_threshold=1.0)


@pytest.fixture
def candidate(family, tmp_path):
    """Makes a bundle of a version of its own, with a wish for the gate."""

    def make(version, wish="pass"):
        altered(family["c"], tmp_path / version, version=version, parent="tiny-a")
        (tmp_path / version / "wish").write_text(wish)
        return tmp_path / version

    return make


@pytest.fixture(scope="module")
def robot(family, tmp_path_factory):
    """The robot signs what passed its gate, and drives with nothing else."""
    folder = tmp_path_factory.mktemp("robot")
    public = write_keys(folder / "key")
    sign_bundle(family["a"], SigningKey(folder / "key"))
    release = {
        "directory": str(folder / "releases"), "gate_command": [sys.executable, str(FAKE_GATE)],
        "signing_key": str(folder / "key"), "canary_seconds": 3600.0, "canary_interventions": 2, "keep": 3,
    }  # fmt: skip
    sections = {
        "/**/release_node": release,
        **{f"/**/{name}": {"trusted_key": str(public)} for name in ("encoder_node", "policy_node")},
        "/**/safety_filter_node": {"trusted_key": str(public), "state_every_tick": True},
    }
    parameters = folder / "parameters.yaml"
    parameters.write_text(yaml.safe_dump({k: {"ros__parameters": v} for k, v in sections.items()}))
    options = DeployOptions(
        sim=True,
        bundle=str(family["a"]),
        seed=40_000,
        params_file=str(parameters),
        use_monitor=False,
        release=True,
    )
    with probing() as probe, running(deployment(options)) as nodes:
        robot = Robot(probe, nodes, folder / "releases")
        robot.hand.meet()
        robot.until_driving("tiny-a")
        yield robot


@pytest.fixture
def driving_a(robot):
    """Each test starts with the first bundle and nothing to do."""
    if robot.hand.active.version != "tiny-a":
        assert robot.probe.call(Trigger, "release_node/rollback", Trigger.Request()).success
        robot.hand.until_active("tiny-a")
    robot.until_driving("tiny-a")
    return robot


def test_a_refused_candidate_leaves_everything_as_it_is(driving_a, candidate):
    robot = driving_a
    version = robot.bring(candidate("permissive", "refuse"))
    said = robot.until_said("gate", version)
    assert (said["passed"], said["refusal"], said["sentence"]) == (
        False,
        "permissive",
        "it certifies everything",
    )
    assert robot.log()[-1] == said
    version = robot.bring(candidate("crashing", "crash"))
    said = robot.until_said("gate", version)
    assert said["sentence"] == "the gate ended with code 3 and without a verdict (out of luck)"
    path = candidate("changed")
    named = {"version": "changed", "path": str(path), "sha256": "0" * 64}
    robot.candidates.publish(String(data=json.dumps(named)))
    assert robot.until_said("gate", "changed")["refusal"] == "damaged"
    assert robot.hand.active.version == "tiny-a"
    robot.until_driving("tiny-a")


def test_the_command_brings_a_bundle_to_the_wheel_and_back(driving_a, candidate):
    robot = driving_a
    path = candidate("good")
    done = robot.command("offer", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["gate", "live"]
    robot.until_driving("good")
    active = robot.hand.active
    assert Path(active.path).parent == robot.folder / "bundles"  # the robot's own copy, signed here
    assert read_manifest(Path(active.path)).signature and read_manifest(path).signature is None
    assert active.previous.version == "tiny-a"
    robot.take_over()
    back = robot.command("offer", "--rollback")
    assert (back.returncode, back.stdout) == (0, "the bundle before is offered\n")
    robot.until_driving("tiny-a")
    said = robot.until_said("rollback", "good")
    evidence = json.loads(Path(said["evidence"]).read_text())
    assert evidence["measures"]["interventions"] == 1.0
    assert {s["bundle"] for s in evidence["states"]} >= {"good"}
    # Not by itself again, but by hand.
    robot.bring(path)
    assert "rolled back before" in robot.until_said("known", "good")["sentence"]
    assert robot.command("offer", "--rollback").returncode == 1
    assert robot.command("offer", str(path)).returncode == 0
    robot.until_driving("good")


def test_a_bundle_that_makes_humans_take_over_is_rolled_back_by_itself(driving_a, candidate):
    robot = driving_a
    version = robot.bring(candidate("hasty"))
    robot.until_said("live", version)
    robot.until_driving(version)
    robot.take_over()
    assert robot.hand.active.version == version
    for _ in range(20):  # what follows within a second is the same intervention
        if robot.hand.active.version == version:
            robot.take_over()
    robot.hand.until_active("tiny-a")
    said = robot.until_said("rollback", version)
    assert "2 interventions in" in said["sentence"]
    evidence = json.loads(Path(said["evidence"]).read_text())
    since = [e["sign"] for e in evidence["events"] if e["driven_s"] >= 0.0]
    assert since.count("interventions") == 2
    assert "operator" in {s["reason"] for s in evidence["states"]}
    robot.until_driving("tiny-a")


def test_a_release_node_that_is_killed_takes_nothing_with_it_and_remembers(driving_a, candidate):
    robot = driving_a
    before = len(robot.log())
    path = candidate("slow", "hang")
    version = robot.bring(path)
    robot.probe.until((path / "hanging").exists, "the gate")
    robot.nodes.end("release_node", signal.SIGKILL)
    robot.until_driving("tiny-a")
    with (robot.folder / "verdicts.jsonl").open("a") as log:
        log.write('{"event": "live", "cut')  # a crash in the middle of a line
    robot.nodes.start("release_node")
    # The latched candidate is judged again; what was rolled back before is known.
    (path / "wish").write_text("refuse")
    (path / "hanging").unlink()
    said = robot.until_said("gate", version)
    assert not said["passed"]
    lines = (robot.folder / "verdicts.jsonl").read_text().splitlines()
    assert len(lines) == before + 2 and json.loads(lines[-1]) == said


def test_gated_bundles_do_not_fill_the_disk(driving_a, candidate):
    robot = driving_a
    for number in range(5):
        version = robot.bring(candidate(f"many-{number}"))
        robot.until_said("live", version)
        robot.until_driving(version)
        assert robot.probe.call(Trigger, "release_node/rollback", Trigger.Request()).success
        robot.until_said("rollback", version)
    left = sorted(p.name.split("-", 1)[1] for p in (robot.folder / "bundles").iterdir())
    assert left == ["many-2", "many-3", "many-4"]


def test_without_a_release_node_the_command_says_so(family, robot):
    done = robot.command("offer", str(family["c"]), "--namespace", "nobody")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no release_node listens")
    assert robot.command("offer").returncode == 2


def test_the_folder_must_be_writable(tmp_path):
    (tmp_path / "file").touch()
    command = [sys.executable, "-m", "safe_o2o_ros.nodes.release_node", "--ros-args"]
    done = subprocess.run(
        [*command, "-p", f"directory:={tmp_path}/file/x"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2 and "cannot be written" in done.stderr
    shutil.rmtree(tmp_path)
