"""Where answers leave: the same values as `cmd_vel` (fresh stamp) and `executed_cmd` (image's stamp)."""

from __future__ import annotations

from geometry_msgs.msg import Twist, TwistStamped
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile

from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.types import Decision


class CommandOutput:
    """The only publisher of motion in this package."""

    def __init__(self, node: Node, adapter: RobotAdapter, pipeline: QoSProfile, stamped: bool) -> None:
        """`pipeline`: quality of service of `executed_cmd`; `stamped`: TwistStamped, else Twist."""
        self._node = node
        self._adapter = adapter
        self._stamped = stamped
        kind = TwistStamped if stamped else Twist
        self._command = node.create_publisher(kind, "cmd_vel", qos.pipeline(lockstep=False))
        self._executed = node.create_publisher(TwistStamped, "executed_cmd", pipeline)

    def send(self, decision: Decision) -> None:
        """Publish one answer."""
        executed = conversions.to_twist_stamped(decision.action, decision.stamp_ns, self._adapter)
        if self._stamped:
            # A fresh stamp: bases drop commands that are older than their time-out.
            fresh_ns = self._node.get_clock().now().nanoseconds
            self._command.publish(conversions.to_twist_stamped(decision.action, fresh_ns, self._adapter))
        else:
            self._command.publish(executed.twist)
        self._executed.publish(executed)

    def flush(self, timeout: Duration) -> None:
        """Wait until what was sent has arrived, or for the timeout."""
        self._command.wait_for_all_acked(timeout)
        self._executed.wait_for_all_acked(timeout)

    def check_partners(self) -> None:
        """Say it when a base listens for the other message type: ROS would be silent and the base deaf."""
        own = "geometry_msgs/msg/TwistStamped" if self._stamped else "geometry_msgs/msg/Twist"
        for partner in self._node.get_subscriptions_info_by_topic(self._command.topic_name):
            if partner.topic_type != own:
                self._node.get_logger().error(
                    f"{partner.node_name} wants {partner.topic_type} on {self._command.topic_name}, but this "
                    f"node sends {own}: set enable_stamped_cmd_vel to {not self._stamped}",
                    throttle_duration_sec=10.0,
                )
