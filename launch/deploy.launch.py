"""The deployment graph for `ros2 launch safe_o2o_ros deploy.launch.py`.

What it holds is in safe_o2o_ros/graph.py. `--show-args` lists the arguments; an empty one leaves the
value of the parameters file alone.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from launch.action import Action
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable, Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchContext, LaunchDescription
from safe_o2o_ros.errors import SafeO2OError
from safe_o2o_ros.graph import USER_ERROR, Graph, NodeSpec, arguments, deployment, options_from_text


def generate_launch_description() -> LaunchDescription:
    """The deployment graph."""
    return described(arguments(), lambda values: deployment(options_from_text(values)))


def described(texts: dict[str, str], make: Callable[[dict[str, str]], Graph]) -> LaunchDescription:
    """Declare the arguments, name -> text; the graph is made once their values are known."""
    declared = [
        DeclareLaunchArgument(name, default_value="", description=text) for name, text in texts.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=partial(_start, tuple(texts), make))])


def _start(
    names: tuple[str, ...], make: Callable[[dict[str, str]], Graph], context: LaunchContext
) -> list[Action]:
    values = {name: LaunchConfiguration(name).perform(context) for name in names}
    try:
        graph = make(values)
    except SafeO2OError as error:
        # One sentence instead of launch's report of where in launch it was raised.
        raise SystemExit(f"error: {error}") from None
    variables = [SetEnvironmentVariable(name, value) for name, value in graph.environment.items()]
    return [*variables, *(_node(graph, spec) for spec in graph.nodes)]


def _node(graph: Graph, spec: NodeSpec) -> Node:
    def ended(event: ProcessExited, context: LaunchContext) -> list[Action]:
        if spec.essential or event.returncode == USER_ERROR:
            return [Shutdown(reason=f"{spec.name} ended with code {event.returncode}")]
        return []

    files = [] if graph.params_file is None else [str(graph.params_file)]
    return Node(
        package=spec.package,
        executable=spec.executable,
        name=spec.name,
        namespace=graph.namespace,
        parameters=[*files, {name: _value(value) for name, value in spec.parameters.items()}],
        remappings=list(spec.remaps),
        arguments=list(spec.arguments),
        ros_arguments=["--log-level", graph.log_level],
        respawn=spec.respawn,
        respawn_delay=1.0,
        output="screen",
        on_exit=ended,
    )


def _value(value: Any) -> Any:
    # launch_ros reads text as YAML: a folder called "on" would become true.
    return ParameterValue(value, value_type=str) if isinstance(value, str) else value
