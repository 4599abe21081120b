"""The graph in which an operator drives and a recorder listens."""

import pytest
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.collection import arguments, collection
from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.processes import command


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundles") / "tiny"
    write_tiny_bundle(path)
    return str(path)


def nodes(**values):
    return {node.name: node for node in collection({"out": "takes", **values}).nodes}


def test_by_hand_nobody_but_the_operator_asks_for_motion(bundle):
    assert set(nodes(bundle=bundle)) == {
        "encoder_node",
        "safety_filter_node",
        "monitor_node",
        "recorder_node",
    }
    assert nodes(bundle=bundle)["safety_filter_node"].parameters["mode"] == "limits_only"
    assert "policy_node" in nodes(bundle=bundle, policy="true")
    assert "mode" not in nodes(bundle=bundle, policy="true")["safety_filter_node"].parameters
    assert nodes(bundle=bundle, mode="filter")["safety_filter_node"].parameters["mode"] == "filter"
    assert "sim_node" in nodes(bundle=bundle, sim="true")


def test_without_a_bundle_the_filter_limits_by_the_base_file_alone():
    found = nodes(base="turtlebot4", cameras="front, back")
    assert set(found) == {"safety_filter_node", "monitor_node", "recorder_node"}
    recorder = found["recorder_node"]
    assert recorder.parameters["cameras"] == ["front", "back"]
    assert recorder.parameters["adapter"] == found["safety_filter_node"].parameters["adapter"]
    assert recorder.remaps == found["safety_filter_node"].remaps


def test_the_recorder_learns_what_to_record_and_empty_arguments_leave_its_file_alone(bundle, tmp_path):
    given = nodes(bundle=bundle, out=str(tmp_path), cost_from="bumper,operator", autostart="true")
    parameters = given["recorder_node"].parameters
    assert parameters == {
        "out": str(tmp_path), "bundle": bundle, "cost_from": ["bumper", "operator"], "autostart": True,
    }  # fmt: skip
    # The list reaches the node as one.
    graph = collection({"out": "takes", "bundle": bundle})
    assert 'cost_from:=["bumper", "operator"]' in command(given["recorder_node"], graph)


def test_alone_the_recorder_is_all_there_is_and_its_end_the_end(bundle):
    (recorder,) = nodes(bundle=bundle, only="true").values()
    assert recorder.essential
    assert not nodes(bundle=bundle)["recorder_node"].essential


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"out": ""}, "no place to record to"),
        ({"train": "true"}, "unknown argument 'train'"),
        ({"lockstep": "true"}, "unknown argument 'lockstep'"),
        ({"policy": "maybe"}, "policy is 'maybe'"),
        ({"mode": "loose"}, "mode is 'loose'"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(values, sentence):
    with pytest.raises(UsageError, match=sentence):
        nodes(**values)


def test_every_argument_says_what_it_is():
    assert all(arguments().values()) and {"out", "sim", "base", "mode"} <= set(arguments())
