"""Parameters of a node: what is taken, what is refused and with which words."""

import math
from pathlib import Path

import pytest
import rclpy
import yaml
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.nodes.parameters import Parameters, Spec
from safe_o2o_ros.nodes.parameters_page import node_specs, page

ROOT = Path(__file__).parents[2]

SPECS = (
    Spec("rate", 20.0, "Rate, Hz.", 1.0, 100.0, dynamic=True),
    Spec("size", 64, "Pixels.", 1, 1024),
    Spec("mode", "filter", "Mode.", choices=("filter", "shadow"), dynamic=True),
    Spec(
        "max_velocity",
        [],
        "Limits, m/s.",
        element=float,
        length=(0, 3),
        low=0.0,
        high=10.0,
        dynamic=True,
        check=lambda v: "must not be all zero" if v and not any(v) else "",
    ),
    Spec("cameras", ["front"], "Cameras."),
    Spec("{cameras}.source", "topic", "Source of each camera.", choices=("topic", "file")),
)


@pytest.fixture
def made(tmp_path):
    """Make a node with the parameters of a YAML mapping; returns node and parameters."""
    context = Context()
    rclpy.init(context=context)
    nodes = []

    def make(**values):
        path = tmp_path / "parameters.yaml"
        section = {"ros__parameters": values} if values else {"ros__parameters": {"rate": 20.0}}
        path.write_text(yaml.safe_dump({"/**": section}))
        node = Node("tester", context=context, cli_args=["--ros-args", "--params-file", str(path)])
        nodes.append(node)
        return node, Parameters(node, SPECS)

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown(context=context)


def test_defaults_hold_where_nothing_is_given(made):
    node, parameters = made()
    assert parameters.values == {
        "rate": 20.0,
        "size": 64,
        "mode": "filter",
        "max_velocity": [],
        "cameras": ["front"],
        "front.source": "topic",
    }
    assert node.get_parameter("size").value == 64


def test_lists_come_as_lists_of_their_kind_and_empty_ones_are_empty(made):
    assert made(max_velocity=[1, 0, 2])[1]["max_velocity"] == [1.0, 0.0, 2.0]
    assert made(max_velocity=[])[1]["max_velocity"] == []
    assert made(cameras=[""])[1]["cameras"] == []
    assert type(made(max_velocity=[1.0, 0.0, 2.0])[1]["max_velocity"]) is list


def test_a_list_of_names_brings_parameters_for_each_name(made):
    parameters = made(cameras=["left", "right"], right={"source": "file"})[1]
    assert (parameters["left.source"], parameters["right.source"]) == ("topic", "file")
    with pytest.raises(UsageError, match=r"no parameter 'top\.source'"):
        made(cameras=["left"], top={"source": "file"})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"rats": 1.0}, "tester has no parameter 'rats': choose among cameras, front.source"),
        ({"rate": 0.0}, "'rate' of tester is 0.0, but must be between 1 and 100"),
        ({"rate": math.nan}, "'rate' of tester is nan, but must be"),
        ({"rate": True}, "'rate' of tester must be of type float, not bool"),
        ({"size": 64.0}, "'size' of tester must be of type int, not float"),
        ({"mode": "fliter"}, "must be one of filter, shadow, not 'fliter'"),
        ({"max_velocity": [1.0, 0.0]}, "has 2 entries, but must have 0 or 3"),
        ({"max_velocity": [1.0, 0.0, -2.0]}, "is -2.0, but must be between 0 and 10"),
        ({"max_velocity": 1.0}, "must be of type list of float, not float"),
        ({"max_velocity": ["a", "b", "c"]}, "must be of type list of float, not str"),
        ({"max_velocity": [0.0, 0.0, 0.0]}, "must not be all zero"),
        ({"front": {"source": "radio"}}, "'front.source' of tester must be one of topic, file"),
    ],
)
def test_what_is_wrong_is_refused_in_one_sentence(made, values, words):
    with pytest.raises(UsageError) as refused:
        made(**values)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_dynamic_parameter_is_checked_on_every_set(made):
    node, parameters = made()

    def set_(name, value):
        (result,) = node.set_parameters([Parameter(name, value=value)])
        return result.successful, result.reason

    assert set_("rate", 50.0)[0]
    assert set_("max_velocity", [1.0, 0.0, 3.0])[0]
    assert (parameters["rate"], parameters["max_velocity"]) == (50.0, [1.0, 0.0, 3.0])
    assert set_("rate", 500.0) == (False, "'rate' is 500.0, but must be between 1 and 100")
    assert not set_("max_velocity", [1.0])[0]
    assert not set_("mode", "fliter")[0]
    assert (parameters["rate"], parameters["max_velocity"]) == (50.0, [1.0, 0.0, 3.0])
    assert node.get_parameter("rate").value == 50.0
    assert set_("max_velocity", [])[0]
    assert parameters["max_velocity"] == []


def test_what_is_not_dynamic_cannot_be_set(made):
    node, parameters = made()
    (result,) = node.set_parameters([Parameter("size", value=32)])
    assert not result.successful
    assert parameters["size"] == 64


def test_a_range_open_at_one_end_is_said_so():
    assert Spec("seed", 0, "", 0).range_text() == "0 or more"
    assert Spec("seed", 0, "", 0).problem(-1) == "is -1, but must be 0 or more"
    assert Spec("scale", 1.0, "").problem(math.nan) == "is nan, but must be a number"
    assert Spec("seed", 0, "", high=9).range_text() == "9 or less"


def test_the_page_on_parameters_is_what_the_nodes_declare():
    assert (ROOT / "docs" / "parameters.md").read_text() == page(), "run `make format`"


def test_every_parameter_is_described_and_its_default_is_allowed():
    for name, _, specs in node_specs():
        assert len({spec.name for spec in specs}) == len(specs)
        for spec in specs:
            assert spec.description.endswith("."), f"{name}: {spec.name}"
            assert spec.problem(spec.clean(spec.default)) == "", f"{name}: {spec.name}"


def test_the_shipped_file_names_real_parameters_with_their_defaults():
    sections = yaml.safe_load((ROOT / "config" / "deploy.yaml").read_text())
    declared = {name: {spec.name: spec for spec in specs} for name, _, specs in node_specs()}
    assert sections
    for section, values in sections.items():
        specs = declared[section.removeprefix("/**/")]
        for name, value in values["ros__parameters"].items():
            assert specs[name].clean(value) == specs[name].clean(specs[name].default), f"{section}: {name}"


def test_a_descriptor_says_what_a_parameter_means_and_allows(made):
    node, _ = made()
    descriptor = node.describe_parameter("max_velocity")
    assert descriptor.description == "Limits, m/s. Allowed: between 0 and 10, 0 or 3 entries."
    assert not descriptor.read_only
    assert node.describe_parameter("size").read_only
