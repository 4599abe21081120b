"""An operator drives, recorder_node records: `ros2 launch safe_o2o_ros collect.launch.py out:=recordings`.

What it holds is in safe_o2o_ros/collection.py. `--show-args` lists the arguments; an empty one leaves the
value of the parameters file alone. The keyboard is `ros2 run safe_o2o_ros teleop_keyboard_node`, in a
terminal of its own; any other teleop on cmd_vel_teleop does, too.
"""

from typing import Any

from launch.action import Action
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable, Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchContext, LaunchDescription
from safe_o2o_ros.collection import arguments, collection
from safe_o2o_ros.errors import SafeO2OError
from safe_o2o_ros.graph import USER_ERROR, Graph, NodeSpec


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the graph is made once their values are known."""
    declared = [
        DeclareLaunchArgument(name, default_value="", description=text) for name, text in arguments().items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_start)])


def _start(context: LaunchContext) -> list[Action]:
    values = {name: LaunchConfiguration(name).perform(context) for name in arguments()}
    try:
        graph = collection(values)
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
