"""Offers to the driving graph: what is refused and with which reason, and nodes that die in the middle."""

import json
import shutil
import signal

import numpy as np
import onnx
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from onnx import numpy_helper
from support.probe import probing, running
from support.swapping import Offerer, offer_of, write_family

from safe_o2o_ros.bundle import POLICY, SAFETY, sha256, sign_bundle
from safe_o2o_ros.graph import DeployOptions, deployment
from safe_o2o_ros.manifest import MANIFEST_NAME, read_manifest
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.signature import SigningKey, write_keys


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    write_keys(folder / "ours")
    write_keys(folder / "theirs")
    return {name: SigningKey(folder / name) for name in ("ours", "theirs")} | {"public": folder / "ours.pub"}


@pytest.fixture(scope="module")
def family(tmp_path_factory, keys):
    paths = write_family(tmp_path_factory.mktemp("bundles"), risk_threshold=1.0)
    for path in paths.values():
        sign_bundle(path, keys["ours"])
    return paths


class Robot:
    """The driving graph, what its filter says, and the hand that offers."""

    def __init__(self, probe, nodes):
        self.probe, self.nodes = probe, nodes
        self.states = probe.listen(DiagnosticArray, "safety/state", qos.series(False))
        self.hand = Offerer(probe)

    def until_driving(self, version):
        """Wait for three answers in a row, from now on, in which this bundle passed the nominal command."""
        seen = len(self.states)

        def passes():
            found = [conversions.from_state(m)[0] for m in self.states[seen:]]
            return len(found) >= 3 and all(
                (d.reason.value, d.version) == ("pass", version) for d in found[-3:]
            )

        self.probe.until(passes, f"driving with {version}")


@pytest.fixture(scope="module")
def robot(family, keys, tmp_path_factory):
    """Every bundle must be signed here; each state is told."""
    parameters = tmp_path_factory.mktemp("parameters") / "parameters.yaml"
    key = f"ros__parameters: {{trusted_key: '{keys['public']}'"
    parameters.write_text(
        f"/**/encoder_node: {{{key}}}}}\n/**/policy_node: {{{key}}}}}\n"
        f"/**/safety_filter_node: {{{key}, state_every_tick: true}}}}\n"
    )
    graph = deployment(
        DeployOptions(
            sim=True, bundle=str(family["a"]), seed=40_000, params_file=str(parameters), use_monitor=False
        )
    )
    with probing() as probe, running(graph) as nodes:
        robot = Robot(probe, nodes)
        robot.hand.meet()
        robot.until_driving("tiny-a")
        yield robot


def flip(path):
    data = bytearray((path / POLICY).read_bytes())
    data[len(data) // 2] ^= 1
    (path / POLICY).write_bytes(data)


def poison(path):
    model = onnx.load(path / SAFETY)
    weight = next(w for w in model.graph.initializer if w.name == "w_action")
    weight.CopyFrom(numpy_helper.from_array(np.full(tuple(weight.dims), np.nan, np.float32), "w_action"))
    (path / SAFETY).write_bytes(model.SerializeToString())
    edit(path, files=read_manifest(path).files | {SAFETY: sha256(path / SAFETY)})


def edit(path, **fields):
    data = json.loads((path / MANIFEST_NAME).read_text())
    (path / MANIFEST_NAME).write_text(json.dumps(data | fields))


def widen(path):
    adapter = json.loads((path / MANIFEST_NAME).read_text())["adapter"]
    edit(path, adapter=adapter | {"top_speed": [9.0, 9.0]})


WRONG = {
    "a flipped byte": (flip, None, "policy.onnx does not have the sha256"),
    "a NaN weight": (poison, "ours", "gives a non-finite"),
    "other action limits": (widen, "ours", "has another adapter's top_speed"),
    "an old schema": (lambda path: edit(path, schema_version=0), "ours", "has schema version 0"),
    "another task": (lambda path: edit(path, task="CarGoal2"), "ours", "has another task"),
    "a key that is not ours": (lambda path: edit(path, metrics={"x": 1}), "theirs", "is not by"),
    "a change after signing": (lambda path: edit(path, parent="tiny-b"), None, "is not by"),
    "no signature": (lambda path: edit(path, signature=None), None, "is not signed"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_bundle_is_refused_with_its_own_reason_and_the_running_one_drives_on(
    robot, family, keys, tmp_path, what
):
    spoil, signer, reason = WRONG[what]
    path = shutil.copytree(family["c"], tmp_path / "wrong")
    offer = offer_of(path)  # before the damage, which may leave nothing that can be read
    spoil(path)
    if signer is not None:
        data = json.loads((path / MANIFEST_NAME).read_text())
        edit(path, signature=keys[signer].sign(data))
    robot.hand.publish(type(offer)(offer.version, str(path), sha256(path / MANIFEST_NAME), id=offer.id))
    assert reason in robot.hand.refusal(offer)
    assert robot.hand.active.version == "tiny-a"
    robot.until_driving("tiny-a")


def test_what_lies_at_the_path_must_be_what_was_offered(robot, family, tmp_path):
    copy = shutil.copytree(family["c"], tmp_path / "copy")
    offer = offer_of(copy, rollback=True)
    edit(copy, metrics={"changed": True})
    robot.hand.publish(offer)
    assert "does not have the sha256 that was offered" in robot.hand.refusal(offer)
    shutil.rmtree(copy)
    gone = robot.hand.publish(type(offer)(offer.version, str(copy), offer.sha256, id="gone"))
    assert "manifest.json is missing" in robot.hand.refusal(gone)
    robot.until_driving("tiny-a")


def test_bundles_change_while_driving_and_back_at_once(robot, family):
    for name in ("b", "a", "c", "b", "c", "a"):
        offer = robot.hand.offer(family[name])
        robot.hand.until_active(offer.version)
        robot.until_driving(offer.version)
    values = {v.key: v.value for v in robot.states[-1].status[0].values}
    assert (values["bundle"], values["bundle_previous"]) == ("tiny-a", "tiny-c")


@pytest.mark.parametrize("victim", ["encoder_node", "policy_node", "safety_filter_node"])
def test_a_node_killed_in_the_middle_of_a_change_joins_it_when_it_is_back(robot, family, victim):
    target = "c" if robot.hand.active.version != "tiny-c" else "a"
    # The change cannot end as long as one of the others is held.
    held = "policy_node" if victim != "policy_node" else "safety_filter_node"
    robot.nodes.process(held).send_signal(signal.SIGSTOP)
    try:
        offer = robot.hand.offer(family[target])
        # The encoder itself begins when all others have said that they are ready.
        robot.hand.until_acked(offer, [victim if victim != "encoder_node" else "safety_filter_node"])
        code, _ = robot.nodes.end(victim, signal.SIGKILL)
        assert code == -signal.SIGKILL
    finally:
        robot.nodes.process(held).send_signal(signal.SIGCONT)
    robot.nodes.start(victim)
    robot.until_driving(offer.version)
    assert robot.hand.active.version == offer.version


@pytest.mark.parametrize("victim", ["policy_node", "safety_filter_node"])
def test_a_node_that_starts_later_learns_what_runs_from_the_encoder(robot, family, victim):
    target = "c" if robot.hand.active.version != "tiny-c" else "b"
    offer = robot.hand.offer(family[target])
    robot.hand.until_active(offer.version)
    robot.until_driving(offer.version)
    # The offer that stands is of something else: the node must not learn it from there.
    wrong = robot.hand.publish(type(offer)("nothing", "/nowhere", offer.sha256, id="nothing"))
    assert "manifest.json is missing" in robot.hand.refusal(wrong)
    robot.nodes.end(victim, signal.SIGKILL)
    robot.nodes.start(victim)
    robot.until_driving(offer.version)
