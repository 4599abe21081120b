"""Optional dependencies, checked by name before anything starts."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence

from safe_o2o_ros.errors import MissingExtraError

ROS = (
    "rclpy",
    "builtin_interfaces",
    "diagnostic_msgs",
    "geometry_msgs",
    "nav_msgs",
    "rosgraph_msgs",
    "sensor_msgs",
    "std_msgs",
    "std_srvs",
    "visualization_msgs",
)
SIM = ("mujoco", "gymnasium")
INFERENCE = ("onnxruntime",)
TRAIN = ("torch",)
EXACT = ("hj_reachability",)
BAGS = ("rosbags",)
MINARI = ("minari", "h5py")
_INSTALL = {
    ROS: "ROS 2 ({}) is not installed: run `pip install 'safe_o2o_ros[ros]'`, or source your ROS 2",
    SIM: "the simulator ({}) is not installed: run `pip install 'safe_o2o_ros[sim]'`",
    TRAIN: "training ({}) is not installed: run `pip install 'safe_o2o_ros[train]'`",
    EXACT: "the exact avoid sets ({}) are not installed: run `pip install 'safe_o2o_ros[exact]'`",
    BAGS: "reading and writing bags ({}) is not installed: run `pip install 'safe_o2o_ros[bags]'`",
    MINARI: "Minari data sets ({}) are not installed: run `pip install 'safe_o2o_ros[minari]'` (Python 3.11)",
    INFERENCE: "ONNX Runtime ({}) is not installed: run `pip install 'safe_o2o_ros[cpu]'`, or `[gpu]`",
}


def require(*extras: Sequence[str]) -> None:
    """Raise MissingExtraError with the one line that installs what is missing. Imports nothing."""
    for modules in extras:
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        if missing:
            raise MissingExtraError(_INSTALL[tuple(modules)].format(missing[0]))
    if (
        ROS in extras
        and "ROS_SECURITY_ENABLE" in os.environ
        and "_ROS_WHEELS_BOOTSTRAP_COMPLETE" in os.environ
    ):
        raise MissingExtraError(
            "DDS security is asked for by ROS_SECURITY_ENABLE, but the ROS 2 wheels lack it: "
            "unset it or use a ROS 2 installation"
        )
