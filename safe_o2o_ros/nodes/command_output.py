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

    def __init__(
        self, node: Node, adapter: RobotAdapter, pipeline: QoSProfile, stamped: bool, frame_id: str
    ) -> None:
        """`pipeline`: quality of service of `executed_cmd`; `stamped`: TwistStamped, else Twist."""
        self._node, self._adapter = node, adapter
        self._stamped, self._frame_id = stamped, frame_id
        kind = TwistStamped if stamped else Twist
        self._command = node.create_publisher(kind, "cmd_vel", qos.pipeline(lockstep=False))
        self._executed = node.create_publisher(TwistStamped, "executed_cmd", pipeline)

    def send(self, decision: Decision) -> None:
        """Publish one answer."""
        executed = self._message(decision, decision.stamp_ns)
        if self._stamped:
            # A fresh stamp: bases drop commands that are older than their time-out.
            self._command.publish(self._message(decision, self._node.get_clock().now().nanoseconds))
        else:
            self._command.publish(executed.twist)
        self._executed.publish(executed)

    def _message(self, decision: Decision, stamp_ns: int) -> TwistStamped:
        return conversions.to_twist_stamped(decision.action, stamp_ns, self._adapter, self._frame_id)

    def flush(self, timeout: Duration) -> None:
        """Wait until what was sent has arrived, or for the timeout."""
        self._command.wait_for_all_acked(timeout)
        self._executed.wait_for_all_acked(timeout)

    def check_partners(self) -> str:
        """What is wrong with the other ends of `cmd_vel`, in a sentence, or "".

        ROS says nothing of either: a base that listens for the other type is deaf, and a base that
        hears another node too is not protected.
        """
        topic = self._command.topic_name
        own = "geometry_msgs/msg/TwistStamped" if self._stamped else "geometry_msgs/msg/Twist"
        for partner in self._node.get_subscriptions_info_by_topic(topic):
            if partner.topic_type != own:
                return (
                    f"{partner.node_name} wants {partner.topic_type} on {topic}, but this node sends {own}: "
                    f"set enable_stamped_cmd_vel to {not self._stamped}"
                )
        me = (self._node.get_name(), self._node.get_namespace())
        for partner in self._node.get_publishers_info_by_topic(topic):
            if (partner.node_name, partner.node_namespace) != me:
                return (
                    f"{partner.node_name} also publishes {topic}, from which the filter does not protect: "
                    "remap it to cmd_vel_teleop or cmd_vel_nominal, or stop it"
                )
        return ""
