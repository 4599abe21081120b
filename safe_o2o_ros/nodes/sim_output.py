"""What sim_node publishes: the same topics, types and units as a robot with cameras."""

from __future__ import annotations

import math

import numpy as np
from geometry_msgs.msg import Quaternion
from nav_msgs.msg import Odometry
from rclpy.duration import Duration
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Float32, String

from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.sim_world import Outcome, SimWorld

_FOVY_DEG = 90.0
"""Vertical field of view of every simulated camera."""


class SimOutput:
    """Cameras, odometry, reward, cost, episode events and, in lockstep, the clock."""

    def __init__(self, node: Node, world: SimWorld, lockstep: bool) -> None:
        """`lockstep` makes the frames reliable and publishes /clock."""
        self._world = world
        self._clock = node.create_publisher(Clock, "/clock", qos.series(False)) if lockstep else None
        self.episode = node.create_publisher(String, "episode", qos.facts())
        self.cameras = {
            name: node.create_publisher(Image, f"{name}/image_raw", qos.images(lockstep))
            for name in world.options.cameras
        }
        self._infos = {
            name: node.create_publisher(CameraInfo, f"{name}/camera_info", qos.images(lockstep))
            for name in world.options.cameras
        }
        self._odom = node.create_publisher(Odometry, "odom", qos.series(False))
        self._reward = node.create_publisher(Float32, "reward", qos.series(False))
        self._cost = node.create_publisher(Float32, "cost", qos.series(False))

    def event(self, text: str, timeout_s: float = 10.0) -> bool:
        """Publish an episode event; True once every listener has it."""
        self.episode.publish(String(data=text))
        return bool(self.episode.wait_for_all_acked(Duration(seconds=timeout_s)))

    def outcome(self, outcome: Outcome) -> None:
        """Publish what the last period brought."""
        self._reward.publish(Float32(data=outcome.reward))
        self._cost.publish(Float32(data=outcome.cost))

    def frame(self, stamp_ns: int) -> None:
        """Publish the clock, the odometry and the newest frames, all with one stamp."""
        if self._clock is not None:
            self._clock.publish(Clock(clock=conversions.to_time(stamp_ns)))
        self._odom.publish(self._odometry(stamp_ns))
        for name, pixels in self._world.images.items():
            frame_id = f"{name}_optical_frame"
            height, width = pixels.shape[:2]
            info = conversions.to_camera_info(height, width, _FOVY_DEG, stamp_ns, frame_id)
            self._infos[name].publish(info)
            self.cameras[name].publish(conversions.to_image(pixels, stamp_ns, frame_id))

    def _odometry(self, stamp_ns: int) -> Odometry:
        state = self._world.state()
        message = Odometry()
        message.header.stamp = conversions.to_time(stamp_ns)
        message.header.frame_id = "odom"
        message.child_frame_id = conversions.BASE_FRAME
        message.pose.pose.position.x = float(state.position[0])
        message.pose.pose.position.y = float(state.position[1])
        half = 0.5 * float(state.yaw)
        message.pose.pose.orientation = Quaternion(x=0.0, y=0.0, z=math.sin(half), w=math.cos(half))
        cos, sin = math.cos(state.yaw), math.sin(state.yaw)
        # Odometry's twist is in the child frame.
        forward, left = np.array([[cos, sin], [-sin, cos]]) @ state.velocity
        message.twist.twist.linear.x = float(forward)
        message.twist.twist.linear.y = float(left)
        message.twist.twist.angular.z = float(state.yaw_rate)
        return message
