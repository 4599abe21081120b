"""An operator drives, recorder_node records: `ros2 launch safe_o2o_ros collect.launch.py out:=recordings`.

What it holds is in safe_o2o_ros/collection.py. `--show-args` lists the arguments; an empty one leaves the
value of the parameters file alone. The keyboard is `ros2 run safe_o2o_ros teleop_keyboard_node`, in a
terminal of its own; any other teleop on cmd_vel_teleop does, too.
"""

import runpy
from pathlib import Path

from launch import LaunchDescription
from safe_o2o_ros.collection import arguments, collection


def generate_launch_description() -> LaunchDescription:
    """As deploy.launch.py, with other arguments and one node more."""
    # Launch files are no modules: the one beside this is run for its functions.
    deploy = runpy.run_path(str(Path(__file__).with_name("deploy.launch.py")))
    description: LaunchDescription = deploy["described"](arguments(), collection)
    return description
