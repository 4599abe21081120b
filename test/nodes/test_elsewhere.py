"""The learner on another host: experience there, bundles back, over a cable that is pulled out meanwhile."""

import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml
from support.namespaces import two_hosts
from support.swapping import write_family

from safe_o2o_ros.data.segments import SegmentReader, SegmentWriter
from safe_o2o_ros.graph import DeployOptions, deployment
from safe_o2o_ros.processes import command, environment, python_environment
from safe_o2o_ros.signature import write_keys

SUPPORT = Path(__file__).parents[1] / "support"
DEADLINE_S = 120.0
"""Generous: only a hang reaches it."""


def until(condition, what):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {DEADLINE_S:g} s in vain for {what}"
        time.sleep(0.05)  # nothing to wait on: files and other processes' output


class States:
    """The lines of a state printer."""

    def __init__(self, process):
        self.lines = []
        threading.Thread(target=self._read, args=(process,), daemon=True).start()

    def _read(self, process):
        for line in process.stdout:
            self.lines.append(line.strip())

    def passes(self, version, count=1):
        """Wait for so many more answers that passed with this bundle."""
        seen = len(self.lines)
        until(lambda: self.lines[seen:].count(f"pass {version}") >= count, f"driving with {version}")


@contextmanager
def started(commands, env):
    """Processes, ended on the way out."""
    with ExitStack() as stack:
        processes = {}
        for name, argv in commands.items():
            log = stack.enter_context(open(f"{env['LOGS']}/{name}.log", "w"))
            out = subprocess.PIPE if name == "printer" else log
            processes[name] = subprocess.Popen(argv, env=env, stdout=out, stderr=log, text=True)
        try:
            yield processes
        finally:
            for process in processes.values():
                process.kill()
            for process in processes.values():
                process.wait()


def node(name, **parameters):
    argv = [sys.executable, "-m", f"safe_o2o_ros.nodes.{name}", "--ros-args"]
    for key, value in parameters.items():
        argv += ["-p", f"{key}:={value}"]
    return argv


def append(writer, count, seed):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        writer.append(rng.bytes(100_000))


def same(first, second):
    """Every whole record of a store is at the other end, byte for byte in files of the same name."""
    names = sorted(p.name for p in first.glob("*.seg"))
    return names == sorted(p.name for p in second.glob("*.seg")) and all(
        (first / n).read_bytes() == (second / n).read_bytes() for n in names
    )


@pytest.mark.timeout(400)
def test_the_robot_drives_on_through_a_cut_and_everything_arrives_after_it(tmp_path):
    family = write_family(tmp_path / "bundles", risk_threshold=1.0)
    public = write_keys(tmp_path / "robot_key")
    learner_public = write_keys(tmp_path / "learner_key")
    release = {
        "directory": str(tmp_path / "releases"), "receive": True, "canary_seconds": 0.0,
        "gate_command": [sys.executable, str(SUPPORT / "fake_gate.py")], "trusted_key": str(learner_public),
    }  # fmt: skip
    sections = {"/**/release_node": release, "/**/safety_filter_node": {"state_every_tick": True}}
    parameters = tmp_path / "parameters.yaml"
    parameters.write_text(yaml.safe_dump({k: {"ros__parameters": v} for k, v in sections.items()}))
    graph = deployment(
        DeployOptions(
            sim=True,
            bundle=str(family["a"]),
            seed=40_000,
            params_file=str(parameters),
            use_monitor=False,
            release=True,
        )
    )
    outbox, there, here = tmp_path / "outbox", tmp_path / "there", tmp_path / "here"
    outbox.mkdir()
    (tmp_path / "logs").mkdir()
    with two_hosts() as hosts, SegmentWriter(here, 1_000_000) as writer:
        append(writer, 25, seed=1)
        env = environment(graph) | python_environment() | graph.environment
        env |= {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET", "LOGS": str(tmp_path / "logs")}
        robot = {spec.name: command(spec, graph) for spec in graph.nodes}
        robot["printer"] = [sys.executable, str(SUPPORT / "state_printer.py")]
        robot["experience_sender"] = node(
            "experience_sender_node", directory=here, rate=0.2, signing_key=tmp_path / "robot_key"
        )
        learner = {
            "experience_receiver": node("experience_receiver_node", directory=there, trusted_key=public),
            "bundle_sender": node(
                "bundle_sender_node", directory=outbox, signing_key=tmp_path / "learner_key"
            ),
        }
        commands = {name: [*hosts.prefix("robot"), *argv] for name, argv in robot.items()}
        commands |= {name: [*hosts.prefix("learner"), *argv] for name, argv in learner.items()}
        with started(commands, env) as processes:
            states = States(processes["printer"])
            states.passes("tiny-a")
            until(lambda: list(there.glob(".*.part")), "the first bytes of experience")
            hosts.cut()
            shutil.copytree(family["c"], outbox / "c")
            append(writer, 5, seed=2)
            states.passes("tiny-a", count=40)
            assert not same(here, there)
            assert not list((tmp_path / "releases" / "received").glob("tiny-c*"))
            hosts.mend()
            until(lambda: same(here, there), "all experience")
            states.passes("tiny-c")
            # What is recorded from now on follows.
            append(writer, 3, seed=3)
            until(lambda: same(here, there), "new experience")
        reader = SegmentReader(there)
        assert [n for n, _ in reader] == list(range(33)) and not reader.skipped
        assert not list(there.glob(".*"))


@pytest.mark.timeout(120)
def test_what_is_not_signed_by_the_trusted_key_is_not_received(tmp_path):
    public = write_keys(tmp_path / "ours")
    write_keys(tmp_path / "theirs")
    here, there = tmp_path / "here", tmp_path / "there"
    with SegmentWriter(here) as writer:
        append(writer, 2, seed=1)
    (tmp_path / "logs").mkdir()
    env = python_environment() | {"LOGS": str(tmp_path / "logs")}
    receiver = {"receiver": node("experience_receiver_node", directory=there, trusted_key=public)}
    log = tmp_path / "logs" / "receiver.log"
    with started(receiver, env):
        for key in ("", tmp_path / "theirs"):
            sender = node("experience_sender_node", directory=here, **({"signing_key": key} if key else {}))
            before = log.stat().st_size
            with started({"sender": sender}, env):
                until(lambda n=before: "is not signed by" in log.read_text()[n:], "a refusal")
            assert not list(there.glob("*.seg"))
        with started(
            {"sender": node("experience_sender_node", directory=here, signing_key=tmp_path / "ours")}, env
        ):
            until(lambda: same(here, there), "the store")


def test_ends_without_a_directory_say_so(tmp_path):
    for name in ("experience_sender_node", "experience_receiver_node", "bundle_sender_node"):
        done = subprocess.run(node(name), capture_output=True, text=True, timeout=60, env=os.environ)
        assert done.returncode == 2 and "set the parameter 'directory'" in done.stderr
