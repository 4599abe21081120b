"""The gate as a child process: the real one, and what becomes of one that misbehaves."""

import dataclasses
import os
import shutil
import sys
import time

import pytest
from support.swapping import write_family

from safe_o2o_ros.bundle import NETWORKS, POLICY, load_bundle, sign_bundle, write_bundle
from safe_o2o_ros.manifest import read_manifest
from safe_o2o_ros.nodes.release_process import GateProcess
from safe_o2o_ros.online.verdict import Refusal
from safe_o2o_ros.signature import SigningKey, write_keys


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    return write_family(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def other_policy(family, tmp_path):
    """The running bundle with another policy: all that may pass without held-out episodes."""
    files = {name: (family["a"] / name).read_bytes() for name in NETWORKS}
    files[POLICY] = (family["c"] / POLICY).read_bytes()
    manifest = dataclasses.replace(read_manifest(family["a"]), version="other-policy", parent="tiny-a")
    write_bundle(tmp_path / "candidate", manifest, files)
    return tmp_path / "candidate"


def verdict(gate):
    deadline = time.monotonic() + 60.0
    while (found := gate.poll()) is None:
        assert time.monotonic() < deadline, "the gate does not end"
        time.sleep(0.02)  # a process: nothing else to wait on
    return found


def judged(candidate, running, folder, key=None):
    config = {
        "candidate": str(candidate), "running": str(running), "held_out": None,
        "trusted_key": str(key) if key else None, "out": str(folder / "out"),
    }  # fmt: skip
    return verdict(GateProcess([], config, folder / "gate", 5, 60.0))


def test_the_real_gate_judges_and_leaves_the_bundle_that_is_offered(family, other_policy, tmp_path):
    found = judged(other_policy, family["a"], tmp_path)
    assert found.passed, found.sentence
    assert load_bundle(tmp_path / "out").version == found.version
    shutil.rmtree(tmp_path / "out")
    refused = judged(family["c"], family["a"], tmp_path)
    assert (refused.passed, refused.version, refused.refusal) == (False, "tiny-c", Refusal.PERMISSIVE)
    assert not (tmp_path / "out").exists()


def test_the_real_gate_asks_for_the_signature_where_a_key_is_configured(family, other_policy, tmp_path):
    public = write_keys(tmp_path / "key")
    assert judged(other_policy, family["a"], tmp_path, public).refusal is Refusal.SIGNATURE
    sign_bundle(other_policy, SigningKey(tmp_path / "key"))
    assert judged(other_policy, family["a"], tmp_path, public).passed


def test_a_gate_that_takes_too_long_is_ended_with_all_it_has_started(tmp_path):
    pid = tmp_path / "pid"
    code = (
        "import os, subprocess, sys, time; "
        f"child = subprocess.Popen(['sleep', '600']); open({str(pid)!r}, 'w').write(str(child.pid)); "
        "time.sleep(600)"
    )
    gate = GateProcess([sys.executable, "-c", code], {}, tmp_path / "gate", 0, 3.0)
    assert "did not end within 3 s" in verdict(gate).sentence
    if pid.exists():  # on a busy machine it may not even have come so far
        child = int(pid.read_text())
        deadline = time.monotonic() + 30.0
        while _runs(child):
            assert time.monotonic() < deadline, "the gate's child lives on"
            time.sleep(0.02)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; sys.exit('error: no such file')", "ended with code 1"),
        ("print('{}')", "cannot be read"),
        ("print('fine')", "without a verdict"),
        ("import os; os.abort()", "ended with code -6"),
    ],
)
def test_what_is_no_verdict_is_a_refusal(code, words, tmp_path):
    found = verdict(GateProcess([sys.executable, "-c", code], {}, tmp_path / "gate", 0, 60.0))
    assert not found.passed and words in found.sentence


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_gate_stands_back(tmp_path):
    code = "import os; print('{', os.nice(0))"
    before = os.nice(0)
    gate = GateProcess([sys.executable, "-c", code], {}, tmp_path / "gate", 7, 60.0)
    verdict(gate)
    said = (tmp_path / "gate" / "stdout").read_text().split()
    assert int(said[1]) == min(before + 7, 19)
