"""The one description of the graph, and that both launchers make the same of it."""

import dataclasses
import importlib.util
import sys
import types
from pathlib import Path

import pytest
import yaml
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.collection import collection
from safe_o2o_ros.errors import BundleMismatchError, BundleMissingError, UsageError
from safe_o2o_ros.graph import DeployOptions, arguments, deployment, options_from_text
from safe_o2o_ros.nodes.parameters_page import node_specs
from safe_o2o_ros.processes import command
from safe_o2o_ros.resources import share_path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundles") / "tiny"
    write_tiny_bundle(path)
    return str(path)


@pytest.fixture(scope="module")
def sim_base(tmp_path_factory):
    """A base file of the simulated Point robot under other topics and frames."""
    path = tmp_path_factory.mktemp("bases") / "point.yaml"
    path.write_text(
        "adapter: point\nmax_velocity: [0.5, 0.0, 1.0]\nbase_frame_id: r1/base_link\n"
        "enable_stamped_cmd_vel: false\ntopics: {cmd_vel: base/cmd_vel, e_stop: e_stop}\n"
    )
    return str(path)


def names(**options):
    return [spec.name for spec in deployment(DeployOptions(**options)).nodes]


def parameters(name, **options):
    return next(s.parameters for s in deployment(DeployOptions(**options)).nodes if s.name == name)


def test_a_robot_gets_the_stack_and_a_simulation_also_the_simulator(bundle):
    stack = ["encoder_node", "policy_node", "safety_filter_node", "monitor_node"]
    assert names(bundle=bundle) == stack
    assert names(bundle=bundle, sim=True) == ["sim_node", *stack]
    assert names(bundle=bundle, use_rviz=True) == [*stack, "rviz2"]
    assert names(bundle=bundle, use_monitor=False) == stack[:-1]
    assert names(bundle=bundle, release=True) == [*stack, "release_node"]


def test_finetune_node_is_started_where_it_is_asked_for_and_the_filter_then_speaks_every_tick(bundle):
    stack = ["encoder_node", "policy_node", "safety_filter_node", "finetune_node", "monitor_node"]
    options = {"bundle": bundle, "finetune": True, "experience_dir": "store", "train": False}
    assert names(**options) == stack
    given = parameters("finetune_node", **options)
    assert given == {"bundle": bundle, "experience_dir": str(Path("store").absolute()), "train": False}
    assert parameters("safety_filter_node", **options)["state_every_tick"] is True
    assert "state_every_tick" not in parameters("safety_filter_node", bundle=bundle)
    simulated = parameters("finetune_node", **options, sim=True, variant="light")
    assert (simulated["require_outcomes"], simulated["variant"]) == (True, "light")


def test_the_simulator_waits_for_finetune_node_but_its_death_ends_no_graph(bundle):
    options = {"bundle": bundle, "sim": True, "lockstep": True, "episodes": 1, "finetune": True}
    assert "finetune_node" in parameters("sim_node", **options)["partners"]
    nodes = {spec.name: spec for spec in deployment(DeployOptions(**options)).nodes}
    assert not nodes["finetune_node"].essential and nodes["encoder_node"].essential


def test_camera_node_runs_where_the_parameters_file_lists_cameras_for_it(bundle, tmp_path):
    path = tmp_path / "robot.yaml"
    path.write_text("/**/camera_node:\n  ros__parameters:\n    cameras: [front]\n")
    assert "camera_node" in names(bundle=bundle, params_file=str(path))
    assert "camera_node" not in names(bundle=bundle, params_file=str(path), use_camera_node=False)
    assert "camera_node" not in names(bundle=bundle, params_file=str(path), sim=True)
    assert "camera_node" not in names(bundle=bundle)
    assert "camera_node" in names(bundle=bundle, use_camera_node=True)
    assert parameters("camera_node", bundle=bundle, params_file=str(path)) == {"bundle": bundle}


@pytest.mark.parametrize("text", ["a: [", "- 1", "/**/camera_node: 3"])
def test_a_parameters_file_that_is_none_is_named(bundle, tmp_path, text):
    path = tmp_path / "robot.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match="robot.yaml' is not one of ROS"):
        deployment(DeployOptions(bundle=bundle, params_file=str(path)))


def test_a_lockstep_run_is_watched_only_when_asked(bundle):
    lockstep = {"bundle": bundle, "sim": True, "lockstep": True, "episodes": 1}
    assert "monitor_node" not in names(**lockstep)
    assert "monitor_node" in names(use_monitor=True, **lockstep)


def test_teleoperation_without_a_bundle_needs_no_network():
    assert names(mode="limits_only") == ["safety_filter_node", "monitor_node"]


def test_what_is_not_asked_for_is_left_to_the_parameters_file(bundle):
    assert parameters("safety_filter_node", bundle=bundle) == {"bundle": bundle}
    assert parameters("safety_filter_node", bundle=bundle, start_enabled=False)["start_enabled"] is False


def test_a_robot_starts_disabled_and_a_simulation_enabled(bundle):
    shipped = yaml.safe_load(share_path("config", "deploy.yaml").read_text())
    assert shipped["/**/safety_filter_node"]["ros__parameters"]["start_enabled"] is False
    assert parameters("safety_filter_node", bundle=bundle, sim=True)["start_enabled"] is True


def test_the_simulator_gets_cameras_and_period_from_the_bundle_and_partners_from_the_graph(bundle):
    given = parameters("sim_node", bundle=bundle, sim=True, lockstep=True, episodes=1)
    assert given["cameras"] == ["front", "back"]
    assert given["action_repeat"] == 4
    assert given["partners"] == ["encoder_node", "policy_node", "safety_filter_node"]
    assert given["use_sim_time"] is True


def test_a_base_file_reaches_every_node_that_it_concerns(bundle, sim_base):
    graph = deployment(DeployOptions(bundle=bundle, sim=True, base=sim_base))
    given = {spec.name: spec.parameters for spec in graph.nodes}
    assert all(spec.remaps == (("cmd_vel", "base/cmd_vel"),) for spec in graph.nodes)
    assert given["safety_filter_node"]["max_velocity"] == [0.5, 0.0, 1.0]
    assert given["safety_filter_node"]["use_e_stop"] is True
    assert given["safety_filter_node"]["enable_stamped_cmd_vel"] is False
    assert given["sim_node"]["enable_stamped_cmd_vel"] is False
    assert given["sim_node"]["base_frame_id"] == given["monitor_node"]["base_frame_id"] == "r1/base_link"
    asked = parameters("sim_node", bundle=bundle, sim=True, base=sim_base, enable_stamped_cmd_vel=True)
    assert asked["enable_stamped_cmd_vel"] is True


@pytest.mark.parametrize(
    "options",
    [
        {"sim": True, "use_sim_time": True, "use_camera_node": True, "start_enabled": True, "seed": 1},
        {"sim": True, "lockstep": True, "episodes": 1, "use_monitor": True, "record_dir": "x", "top_size": 8},
        {"mode": "shadow", "enable_stamped_cmd_vel": False},
    ],
)
def test_nodes_are_given_only_parameters_that_they_declare(bundle, sim_base, options):
    declared = {name: {spec.name for spec in specs} for name, _, specs in node_specs()}
    for spec in deployment(DeployOptions(bundle=bundle, base=sim_base, **options)).nodes:
        assert set(spec.parameters) - {"use_sim_time"} <= declared[spec.name], spec.name


def test_without_a_bundle_the_base_says_which_robot_it_is():
    given = parameters("safety_filter_node", mode="limits_only", base="turtlebot4")
    assert given["adapter"] == "room_base"
    assert given["max_decel"] == [-0.9, 0.0, -3.0]


def test_a_bundle_of_another_robot_than_the_base_is_refused(bundle):
    with pytest.raises(BundleMismatchError, match="'point', but the base file describes 'room_base'"):
        deployment(DeployOptions(bundle=bundle, base="turtlebot4"))


def test_the_simulator_tells_the_time_that_the_others_are_told_to_use(bundle):
    assert "publish_clock" not in parameters("sim_node", bundle=bundle, sim=True)
    given = parameters("sim_node", bundle=bundle, sim=True, use_sim_time=True)
    assert given["publish_clock"] is given["use_sim_time"] is True
    assert "publish_clock" not in parameters(
        "sim_node", bundle=bundle, sim=True, use_sim_time=True, lockstep=True, episodes=1
    )


def test_the_simulated_task_is_the_bundles_where_none_is_named(tmp_path):
    write_tiny_bundle(tmp_path / "other", task="PointGoal2")
    given = parameters("sim_node", bundle=str(tmp_path / "other"), sim=True)
    assert given["task"] == "PointGoal2"
    assert parameters("sim_node", sim=True)["task"] == "PointGoal1"


def test_every_node_of_a_lockstep_run_is_essential_and_on_a_robot_none(bundle):
    lockstep = deployment(DeployOptions(sim=True, lockstep=True, episodes=1, bundle=bundle, use_respawn=True))
    assert all(spec.essential and not spec.respawn for spec in lockstep.nodes)
    robot = deployment(DeployOptions(bundle=bundle, use_respawn=True))
    assert all(spec.respawn and not spec.essential for spec in robot.nodes)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "fliter"}, "choose among filter, shadow, limits_only"),
        ({"lockstep": True}, "lockstep needs the simulator"),
        ({"lockstep": True, "sim": True}, "set episodes to 1 or more"),
        ({"seed": -1}, "seed is -1"),
        ({"namespace": "two words"}, "not a ROS name"),
        ({"log_level": "loud"}, "log_level is 'loud'"),
        ({"params_file": "/nowhere.yaml"}, "/nowhere.yaml"),
        ({"use_rviz": True, "rviz_config": "/nowhere.rviz"}, "/nowhere.rviz"),
        ({"finetune": True, "bundle": None, "mode": "limits_only"}, "finetune needs a bundle"),
        ({"base": "segway"}, "there is no base 'segway': choose among rc_car, room_base, turtlebot4"),
    ],
)
def test_impossible_options_are_named(options, words, bundle):
    with pytest.raises(UsageError, match=words):
        deployment(DeployOptions(**{"bundle": bundle, **options}))


def test_a_missing_bundle_is_named_before_anything_starts():
    with pytest.raises(BundleMissingError, match="/nowhere"):
        deployment(DeployOptions(bundle="/nowhere"))


def test_launch_arguments_are_parsed_and_empty_ones_left_alone():
    assert options_from_text(dict.fromkeys(arguments(), "")) == DeployOptions()
    options = options_from_text({"sim": "true", "seed": "7", "mode": "", "namespace": "robot1"})
    assert options == DeployOptions(sim=True, seed=7, namespace="robot1")
    for bad in ({"sim": "yes"}, {"seed": "many"}, {"speed": "1"}):
        with pytest.raises(UsageError, match=next(iter(bad))):
            options_from_text(bad)


def test_users_find_the_launch_arguments_they_know():
    known = {
        "namespace",
        "use_sim_time",
        "params_file",
        "log_level",
        "use_rviz",
        "rviz_config",
        "use_respawn",
        "base",
        "bundle",
        "mode",
    }
    assert known <= set(arguments())
    assert all(arguments().values())


def test_parameters_keep_their_types_on_a_command_line(bundle):
    graph = deployment(DeployOptions(bundle=bundle, namespace="robot1"))
    spec = dataclasses.replace(
        graph.nodes[0], parameters={"text": "on", "whole": 1, "small": 1e-05, "flag": True, "list": ["a", ""]}
    )
    argv = command(spec, graph)
    given = dict(a.split(":=", 1) for a in argv[argv.index("--ros-args") :] if ":=" in a)
    assert {n: yaml.safe_load(v) for n, v in given.items() if not n.startswith("__")} == spec.parameters
    assert given["__ns"] == "/robot1"


@pytest.fixture
def launch_modules(monkeypatch):
    """Stand-ins for launch and launch_ros, which no wheel has: they record what the file asks for."""

    class Recorded:
        def __init__(self, *args, **kwargs):
            self.args, self.kwargs = args, kwargs

        def perform(self, context):
            return context[self.args[0]]

    contents = {
        "launch": ["LaunchContext", "LaunchDescription"],
        "launch.action": ["Action"],
        "launch.actions": ["DeclareLaunchArgument", "OpaqueFunction", "SetEnvironmentVariable", "Shutdown"],
        "launch.events": [],
        "launch.events.process": ["ProcessExited"],
        "launch.substitutions": ["LaunchConfiguration"],
        "launch_ros": [],
        "launch_ros.actions": ["Node"],
        "launch_ros.parameter_descriptions": ["ParameterValue"],
    }
    made = {}
    for module, classes in contents.items():
        stand_in = types.ModuleType(module)
        for name in classes:
            made[name] = type(name, (Recorded,), {})
            setattr(stand_in, name, made[name])
        monkeypatch.setitem(sys.modules, module, stand_in)
    return made


def launched(classes, file="deploy", **values):
    """What a launch file makes of launch arguments."""
    path = Path(__file__).parents[2] / "launch" / f"{file}.launch.py"
    spec = importlib.util.spec_from_file_location("deploy_launch", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    entities = module.generate_launch_description().args[0]
    declared = [e for e in entities if isinstance(e, classes["DeclareLaunchArgument"])]
    assert all(d.kwargs["default_value"] == "" and d.kwargs["description"] for d in declared)
    context = {d.args[0]: "" for d in declared} | values
    return entities[-1].kwargs["function"](context)


def plain(value):
    """A parameter's value; text must be marked as text, or launch_ros reads it as YAML."""
    assert not isinstance(value, str)
    if type(value).__name__ != "ParameterValue":
        return value
    assert value.kwargs == {"value_type": str}
    return value.args[0]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"sim": "true", "seed": "7"},
        {"sim": "true", "lockstep": "true", "episodes": "2", "namespace": "robot1", "mode": "shadow"},
        {"use_respawn": "true", "use_rviz": "true", "log_level": "warn"},
        {"finetune": "true", "experience_dir": "store", "train": "false", "use_respawn": "true"},
        {"sim": "true", "use_sim_time": "true", "base": "SIM_BASE"},
    ],
)
def test_both_launchers_start_the_same_graph(launch_modules, bundle, sim_base, values):
    values = {name: value.replace("SIM_BASE", sim_base) for name, value in values.items()}
    values = {"bundle": bundle, **values}
    check_same(launch_modules, deployment(options_from_text(values)), launched(launch_modules, **values))


@pytest.mark.parametrize(
    "values", [{}, {"sim": "true", "policy": "true", "mode": "shadow"}, {"only": "true", "cameras": "a,b"}]
)
def test_both_launchers_start_the_same_collection(launch_modules, bundle, values):
    values = {"bundle": bundle, "out": "takes", **values}
    check_same(launch_modules, collection(values), launched(launch_modules, "collect", **values))


def check_same(launch_modules, graph, actions):
    variables = [a.args for a in actions if isinstance(a, launch_modules["SetEnvironmentVariable"])]
    assert dict(variables) == graph.environment
    nodes = [a.kwargs for a in actions if isinstance(a, launch_modules["Node"])]
    assert len(nodes) == len(graph.nodes)
    for node, spec in zip(nodes, graph.nodes, strict=True):
        assert (node["package"], node["executable"], node["name"]) == (
            spec.package,
            spec.executable,
            spec.name,
        )
        assert node["namespace"] == graph.namespace
        assert node["parameters"][0] == str(graph.params_file)
        assert {n: plain(v) for n, v in node["parameters"][1].items()} == spec.parameters
        assert node["remappings"] == list(spec.remaps)
        assert node["arguments"] == list(spec.arguments)
        assert node["ros_arguments"] == ["--log-level", graph.log_level]
        assert node["respawn"] is spec.respawn
        if spec.package != "safe_o2o_ros":
            continue
        # The process launcher runs the module that the executable's entry point names.
        argv = command(spec, graph)
        assert argv[1:3] == ["-m", f"safe_o2o_ros.nodes.{spec.executable}"]
        assert argv[argv.index("--params-file") + 1] == node["parameters"][0]
        assert argv[argv.index("--log-level") + 1] == node["ros_arguments"][1]
        assert f"__node:={spec.name}" in argv


def test_the_launch_file_ends_the_graph_on_the_same_exits(launch_modules, bundle):
    robot = launched(launch_modules, bundle=bundle)[-1].kwargs["on_exit"]
    lockstep = launched(launch_modules, bundle=bundle, sim="true", lockstep="true", episodes="1")
    essential = lockstep[-1].kwargs["on_exit"]

    def shuts_down(on_exit, code):
        return bool(on_exit(types.SimpleNamespace(returncode=code), None))

    assert [shuts_down(robot, code) for code in (0, 2, -9)] == [False, True, False]
    assert [shuts_down(essential, code) for code in (0, 2, -9)] == [True, True, True]


def test_the_launch_file_refuses_in_one_sentence(launch_modules):
    with pytest.raises(SystemExit, match="error: no model bundle at '/nowhere'"):
        launched(launch_modules, bundle="/nowhere")
