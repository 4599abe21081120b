"""Whatever a user gets wrong is answered with one sentence and a code, never with a traceback."""

import subprocess
import sys

import pytest
from support.tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundles") / "tiny"
    write_tiny_bundle(path)
    return path


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundles") / "strange"
    write_tiny_bundle(path, cameras=("front", "left"))
    return path


def refusal(*argv):
    """The sentence with which a program ends; checks that it is one."""
    run = subprocess.run([sys.executable, *argv], capture_output=True, text=True, timeout=60)
    assert run.returncode == 2, run
    lines = [line for line in run.stderr.splitlines() if not line.startswith("[INFO]")]
    assert len(lines) == 1, run.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


def node(name, *parameters):
    given = [part for parameter in parameters for part in ("-p", parameter)]
    return refusal("-m", f"safe_o2o_ros.nodes.{name}", *(["--ros-args", *given] if given else []))


def cli(*argv):
    return refusal("-c", "import sys; from safe_o2o_ros.cli.main import main; sys.exit(main())", *argv)


@pytest.mark.parametrize("name", ["encoder_node", "policy_node", "safety_filter_node"])
def test_a_node_names_the_missing_bundle(name):
    assert "no model bundle at '/nowhere'" in node(name, "bundle:=/nowhere")


def test_a_node_refuses_a_bundle_of_another_task(bundle):
    assert "trained for PointGoal1, not Juggling" in node(
        "encoder_node", f"bundle:={bundle}", "task:=Juggling"
    )


def test_a_node_names_an_unknown_parameter_and_the_known_ones():
    sentence = node("safety_filter_node", "moed:=filter")
    assert "no parameter 'moed'" in sentence
    assert "mode" in sentence


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ("mode:=fliter", "must be one of filter, shadow, limits_only"),
        ("filter_frequency:=0.0", "must be between 1 and 200"),
        ("filter_frequency:=fast", "must be of type float"),
    ],
)
def test_a_node_names_a_bad_value_and_the_good_ones(parameter, words):
    assert words in node("safety_filter_node", parameter)


def test_the_camera_node_names_a_camera_without_a_source():
    assert "'front.topic' is empty" in node("camera_node", "cameras:=[front]")


def test_the_simulator_names_an_unknown_camera():
    assert "left" in node("sim_node", "cameras:=[left]")


def test_the_simulator_names_an_unknown_task():
    assert "Juggling" in node("sim_node", "task:=Juggling")


def test_an_argument_for_nobody_is_refused():
    assert "unknown argument '--bundle'" in refusal("-m", "safe_o2o_ros.nodes.policy_node", "--bundle", "x")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("sim", "--bundle", "/nowhere"), "no model bundle at '/nowhere'"),
        (("sim", "--task", "Juggling"), "Juggling"),
        (("sim", "--bundle", "{bundle}", "--seed", "3"), "seed 3 was used for the training"),
        (("sim", "--bundle", "{bundle}", "--variant", "upside_down"), "upside_down"),
        (("sim", "--bundle", "{bundle}", "--episodes", "0"), "--episodes must be at least 1"),
        (("sim", "--bundle", "{strange}"), "camera 'left'"),
        (("sim", "--bundel", "x"), "--bundel"),
        (("deploy", "--bundle", "/nowhere"), "no model bundle at '/nowhere'"),
        (("deploy", "--sim", "perhaps"), "must be true or false"),
        (("deploy", "--lockstep", "true"), "lockstep needs the simulator"),
        (("deploy", "--params-file", "/nowhere.yaml"), "/nowhere.yaml"),
    ],
)
def test_the_command_line_says_what_is_wrong(argv, words, bundle, strange):
    assert words in cli(*(a.format(bundle=bundle, strange=strange) for a in argv))
