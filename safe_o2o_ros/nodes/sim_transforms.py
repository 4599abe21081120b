"""The simulated robot's transforms on /tf and /tf_static, where ROS has a message for them."""

from __future__ import annotations

from collections.abc import Mapping

from rclpy.node import Node

from safe_o2o_ros.nodes import qos
from safe_o2o_ros.nodes.sim_frames import Frames, Motion, Mount, camera_transforms, odom_transform

try:
    from tf2_msgs.msg import TFMessage
except ModuleNotFoundError:  # not among the ROS 2 wheels
    TFMessage = None


class SimTransforms:
    """odom -> base_link with every frame, base_link -> cameras once; says so where it cannot."""

    def __init__(self, node: Node, frames: Frames, mounts: Mapping[str, Mount]) -> None:
        """Publish where the cameras sit."""
        self._frames = frames
        self._moving = None
        if TFMessage is None:
            node.get_logger().info("tf2_msgs is not installed here: no transforms are published on /tf")
            return
        # Both absolute, as everybody looks for them there.
        self._moving = node.create_publisher(TFMessage, "/tf", qos.series(False))
        self._fixed = node.create_publisher(TFMessage, "/tf_static", qos.facts())
        fixed = camera_transforms(mounts, frames, node.get_clock().now().nanoseconds)
        self._fixed.publish(TFMessage(transforms=fixed))

    def send(self, motion: Motion, stamp_ns: int) -> None:
        """Publish where the robot is."""
        if self._moving is not None:
            self._moving.publish(TFMessage(transforms=[odom_transform(motion, self._frames, stamp_ns)]))
